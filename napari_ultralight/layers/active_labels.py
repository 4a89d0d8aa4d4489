"""Which labels layer the user works on, and when its labels change."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from .helpers import is_helper

PAUSE_MS = 400
"""How long after a stroke it is told at the latest: strokes that follow each other quickly are told together."""


class ActiveLabels(QObject):
    """The labels layer that is selected in the viewer, else the one that was last.

    Signals: `chosen()` when it is another one than before; `changed()` when its labels are others, a moment after it happened.
    """

    chosen = Signal()
    changed = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Any = None
        self._point: tuple[float, ...] = ()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.changed)
        viewer.layers.selection.events.active.connect(self._follow)
        viewer.layers.events.removed.connect(self._follow)
        self._follow()

    @property
    def layer(self) -> Any:
        """The layer, or None."""
        return self._layer

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this object."""
        self._pause.stop()
        self._viewer.layers.selection.events.active.disconnect(self._follow)
        self._viewer.layers.events.removed.disconnect(self._follow)
        self._follow_events("disconnect")

    def _follow(self, event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        layer = active if isinstance(active, Labels) and not is_helper(active) else self._layer
        if layer not in self._viewer.layers:
            layer = None
        if layer is self._layer:
            return
        self._follow_events("disconnect")
        self._layer = layer
        self._follow_events("connect")
        self._point = tuple(self._viewer.dims.point)
        self.chosen.emit()

    def _follow_events(self, action: str) -> None:
        if self._layer is None:
            return
        events = self._layer.events
        slots: tuple[tuple[Any, Callable[..., None]], ...] = (
            (events.paint, self._touched),
            (events.data, self._touched),
            (events.metadata, self._touched),
            (events.set_data, self._redrawn),
        )
        for emitter, slot in slots:
            getattr(emitter, action)(slot)

    def _touched(self, event: Any = None) -> None:
        # Begun anew at each stroke it would never end while someone paints without a rest.
        if not self._pause.isActive():
            self._pause.start()

    def _redrawn(self, event: Any = None) -> None:
        # Undo and redo only redraw the layer; so does scrolling, after which nothing has changed.
        point = tuple(self._viewer.dims.point)
        if point == self._point:
            self._touched()
        self._point = point
