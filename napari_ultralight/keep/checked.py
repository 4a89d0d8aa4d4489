"""Which slices a person has checked: the rest never counts as truth."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from itertools import groupby
from typing import Any

import numpy as np
from magicgui.widgets import ComboBox, PushButton, SpinBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ultralightunet.corrections import Checked
from ultralightunet.errors import InputError

from ..layers.active_labels import ActiveLabels
from ..layers.conversion import grid_of, position
from ..layers.correction import checked_slices
from ..layers.grid import KEY

MARKS = "checked"
"""In a layer's facts: the marked slices, by shown axis."""


class Extent(Enum):
    """How much was checked."""

    ALL = "The whole image"
    RANGE = "Slices from … to …"
    MARKED = "Only marked slices"


class CheckedChoice(QWidget):
    """What was checked, and beneath it what that needs to know.

    Signals: `changed()`.

    Attributes:
        combo: its value is an `Extent`.
        first: first checked slice across the axis in view.
        last: last one.
        mark: the button that marks the slice in view, or takes its mark away.
    """

    changed = Signal()

    def __init__(self, viewer: Any, active: ActiveLabels, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._active = active
        self._span = (-1, -1)
        self.combo = ComboBox(
            choices=[(extent.value, extent) for extent in Extent],
            tooltip="Which slices you looked at. The others are stored as unknown and never count as truth.",
        )
        self.first = SpinBox(value=0, min=0, max=0, tooltip="First slice that you checked, by the number beside napari's slider.")
        self.last = SpinBox(value=0, min=0, max=0, tooltip="Last slice that you checked, by the number beside napari's slider.")
        for spin in (self.first, self.last):
            spin.native.setFixedWidth(92)
        self.mark = PushButton(text="Mark this slice", tooltip="Mark the slice in view as checked, or take its mark away.")
        self._across = QLabel()
        self._marked = QLabel()
        self._marked.setWordWrap(True)
        self._range_row = QWidget()
        row = QHBoxLayout(self._range_row)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self.first.native, QLabel("to"), self.last.native):
            row.addWidget(widget)
        row.addStretch(1)
        self._mark_row = QWidget()
        row = QHBoxLayout(self._mark_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.mark.native)
        row.addWidget(self._marked, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.combo.native, self._range_row, self._across, self._mark_row):
            layout.addWidget(part)
        self.combo.changed.connect(self._show)
        self.first.changed.connect(self._tell)
        self.last.changed.connect(self._tell)
        self.mark.changed.connect(self.mark_slice)
        active.chosen.connect(self._show)
        viewer.dims.events.order.connect(self._show)
        self._show()

    def checked(self) -> Checked:
        """What was checked, across the axes of the image's own grid.

        Raises:
            InputError: if the view does not say which slices are meant, or none was marked.
        """
        layer = self._active.layer
        if layer is None or self.combo.value is Extent.ALL:
            return None
        grid = grid_of(layer)
        if self.combo.value is Extent.MARKED:
            marks = marks_of(layer)
            if not any(marks.values()):
                raise InputError("expected marked slices, found none; go to a slice that you checked and click “Mark this slice”")
            return checked_slices(grid, marks)
        first, last = sorted((self.first.value, self.last.value))
        return checked_slices(grid, {self._axis(): range(first, last + 1)})

    def mark_slice(self) -> None:
        """Mark the slice in view as checked, or take its mark away."""
        layer = self._active.layer
        if layer is None:
            return
        axis = self._axis()
        grid = grid_of(layer)
        at = position(layer, self._viewer.dims.point, self._viewer.dims.units)[-len(grid.shape) :]
        index = int(np.clip(round(at[axis]), 0, grid.shown_shape[axis] - 1))
        marks = marks_of(layer)
        marks[axis] = sorted({*marks.get(axis, [])} ^ {index})
        facts = {**layer.metadata.get(KEY, {}), MARKS: {str(key): value for key, value in marks.items() if value}}
        layer.metadata = {**layer.metadata, KEY: facts}
        self._show()

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this widget."""
        self._viewer.dims.events.order.disconnect(self._show)

    def _axis(self) -> int:
        """The shown axis that the viewer's slider runs along."""
        dims, count = self._viewer.dims, len(grid_of(self._active.layer).shape)
        inner = [axis - (dims.ndim - count) for axis in dims.not_displayed if axis >= dims.ndim - count]
        if count != 3 or len(inner) != 1:
            raise InputError("expected a view of one slice, found another; switch napari to 2D (Ctrl+Y), or say that all was checked")
        return int(inner[0])

    def _show(self, *_: Any) -> None:
        layer = self._active.layer
        is_volume = layer is not None and len(grid_of(layer).shape) == 3
        if not is_volume and self.combo.value is not Extent.ALL:
            self.combo.value = Extent.ALL
        self.combo.native.setEnabled(is_volume)
        for part in (self._range_row, self._across):
            part.setVisible(self.combo.value is Extent.RANGE)
        self._mark_row.setVisible(self.combo.value is Extent.MARKED)
        if is_volume:
            self._show_slices(layer)
        self._tell()

    def _show_slices(self, layer: Any) -> None:
        names = list(layer.axis_labels)[-3:]
        marks = marks_of(layer)
        self._marked.setText("; ".join(f"{names[axis]} {_in_words(marks[axis])}" for axis in sorted(marks) if marks[axis]) or "none yet")
        try:
            axis = self._axis()
        except InputError:
            return
        self._across.setText(f"across {names[axis]}")
        last = grid_of(layer).shown_shape[axis] - 1
        if self._span == (axis, last):
            return
        self._span = (axis, last)
        with self.first.changed.blocked(), self.last.changed.blocked():
            self.first.max = self.last.max = last
            self.first.value, self.last.value = 0, last

    def _tell(self, *_: Any) -> None:
        self.changed.emit()


def marks_of(layer: Any) -> dict[int, list[int]]:
    """The slices that are marked as checked, by shown axis."""
    return {int(axis): list(slices) for axis, slices in layer.metadata.get(KEY, {}).get(MARKS, {}).items()}


def _in_words(slices: Iterable[int]) -> str:
    """3, 10-12."""
    runs = [[index for _, index in run] for _, run in groupby(enumerate(sorted(slices)), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
