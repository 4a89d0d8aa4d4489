"""A guard against a fault of napari's."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from napari.layers import Labels


class BrushGuard:
    """Lays the brush of a labels layer down before the layer is removed.

    napari 0.9.2 goes on drawing the brush's circle of a layer that is gone: under software OpenGL the process dies at the next layer,
    and with it what was not saved.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        viewer.layers.events.removing.connect(self._lay_down)

    def close_down(self) -> None:
        """Let go of the viewer."""
        self._viewer.layers.events.removing.disconnect(self._lay_down)

    def _lay_down(self, event: Any) -> None:
        layer = self._viewer.layers[event.index]
        if isinstance(layer, Labels):
            layer.mode = "pan_zoom"
