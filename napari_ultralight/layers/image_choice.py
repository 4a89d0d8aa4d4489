"""Which image layer is meant."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Image


class ImageChoice:
    """A combo box of the viewer's image layers, held as objects: names may change and come again.

    Attributes:
        widget: the combo box; its value is the layer, or None.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.widget = ComboBox(
            label="Image",
            choices=self._choices,
            nullable=False,
            tooltip="The image to segment: any image layer, whatever opened it. Of a time series, the time point that is shown.",
        )
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._refresh)
        viewer.layers.events.reordered.connect(self._refresh)
        for layer in self._layers():
            layer.events.name.connect(self._refresh)
        active = viewer.layers.selection.active
        if isinstance(active, Image):
            self.widget.value = active

    @property
    def layer(self) -> Any:
        """The chosen layer, or None where there is none."""
        return self.widget.value

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this widget."""
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._refresh)
        self._viewer.layers.events.reordered.disconnect(self._refresh)
        for layer in self._layers():
            layer.events.name.disconnect(self._refresh)

    def _layers(self) -> list[Any]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _choices(self, *_: Any) -> list[tuple[str, Any]]:
        return [(layer.name, layer) for layer in self._layers()]

    def _inserted(self, event: Any) -> None:
        if isinstance(event.value, Image):
            event.value.events.name.connect(self._refresh)
            self._refresh()
            # Who opens an image wants to work on it.
            self.widget.value = event.value

    def _refresh(self, event: Any = None) -> None:
        self.widget.reset_choices()
