"""How much there is of each label: counted on a thread, and anew once painting rests."""

# mypy: disallow-subclassing-any=False, disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.qt.threading import WorkerBase
from qtpy.QtCore import QObject, QTimer, Signal

from ultralightunet.volume import Segmentation

from ..layers.conversion import attributes_of, segmentation_of
from ..parts.worker import show_failure

PAUSE_MS = 300
"""How long after a stroke voxels are counted anew at the latest: strokes that follow each other quickly are counted together."""

Counted = tuple[Any, Segmentation, dict[int, int], dict[int, float] | None]
"""A layer, what it holds, voxels by label, millilitres by label or None."""


class Counting(QObject):
    """Counts the labels of whatever layer is in use, one count at a time.

    Signals: `counted(Counted)`, for the layer that is still in use.

    Args:
        layer: the labels layer in use, or None.
    """

    counted = Signal(object)

    def __init__(self, layer: Callable[[], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer = layer
        self._counter: _Counter | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.now)

    @property
    def is_busy(self) -> bool:
        """Whether something is being counted, or soon will be."""
        return self._counter is not None or bool(self._pause.isActive())

    def soon(self) -> None:
        """Count in a moment."""
        # Begun anew at each stroke it would never end while someone paints without a rest.
        if not self._pause.isActive():
            self._pause.start()

    def now(self) -> None:
        """Count, or as soon as the count under way is done."""
        layer = self._layer()
        if layer is None:
            return
        if self._counter is not None:
            self.soon()
            return
        self._counter = _Counter(layer)
        self._counter.returned.connect(self._returned)
        self._counter.errored.connect(show_failure)
        self._counter.finished.connect(self._finished)
        self._counter.start()

    def _returned(self, result: Counted) -> None:
        if result[0] is self._layer():
            self.counted.emit(result)
        else:
            self.soon()

    def _finished(self) -> None:
        self._counter = None


class _Counter(WorkerBase):
    """Counts a layer's labels on a thread; returns `Counted`."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._layer = layer
        self._data = layer.data
        self._attributes = attributes_of(layer)

    def work(self) -> Counted:
        """Runs on the thread."""
        segmentation = segmentation_of(self._data, self._attributes)
        return self._layer, segmentation, segmentation.counts(), segmentation.volumes_ml()
