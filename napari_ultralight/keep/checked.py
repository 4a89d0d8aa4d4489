"""What a person has checked: the rest never counts as truth."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from itertools import groupby
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from magicgui.widgets import ComboBox, PushButton, SpinBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ultralightunet.corrections import Checked
from ultralightunet.errors import InputError

from ..layers.active_labels import ActiveLabels
from ..layers.correction import asked_for, asked_in_words, checked_slices
from ..layers.facts import set_facts
from ..layers.grid import KEY, Grid
from ..layers.placing import grid_of, known_grid_of, position
from ..parts.worker import show_failure

MARKS = "checked"
"""In a layer's facts: the marked slices, by shown axis."""


class Extent(Enum):
    """How much was checked."""

    ASKED = "What was segmented"
    ALL = "The whole image"
    RANGE = "Slices from … to …"
    MARKED = "Only marked slices"


class CheckedChoice(QWidget):
    """What was checked, and beneath it what that needs to know; kept for each labels layer.

    Where a box or a slice was segmented, nobody has looked at the rest: that extent is preset.

    Signals: `changed()`.

    Attributes:
        combo: its value is an `Extent`.
        first: first checked slice across `axis`.
        last: last one.
        axis: across which the slices lie, a shown axis; it stays while the view is rolled.
        mark: the button that marks the slice in view, or takes its mark away.
    """

    changed = Signal()

    def __init__(self, viewer: Any, active: ActiveLabels, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._active = active
        self._extents: WeakKeyDictionary[Any, Extent] = WeakKeyDictionary()
        self._ranges: WeakKeyDictionary[Any, dict[int, tuple[int, int]]] = WeakKeyDictionary()
        self.combo = ComboBox(
            choices=self._choices,
            nullable=False,
            tooltip="What you looked at. The rest is stored as unknown and never counts as truth.",
        )
        self.first = SpinBox(value=0, min=0, max=0, tooltip="First slice that you checked, by the number beside napari's slider.")
        self.last = SpinBox(value=0, min=0, max=0, tooltip="Last slice that you checked, by the number beside napari's slider.")
        self.axis = ComboBox(choices=self._axes, nullable=False, tooltip="Across which axis the slices lie that you checked.")
        for spin in (self.first, self.last):
            spin.native.setFixedWidth(92)
        self.mark = PushButton(text="Mark this slice", tooltip="Mark the slice in view as checked, or take its mark away.")
        self._marked = QLabel()
        self._marked.setWordWrap(True)
        self._range_row = QWidget()
        row = QHBoxLayout(self._range_row)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self.first.native, QLabel("to"), self.last.native):
            row.addWidget(widget)
        row.addStretch(1)
        self._axis_row = QWidget()
        row = QHBoxLayout(self._axis_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("across"))
        row.addWidget(self.axis.native, 1)
        self._mark_row = QWidget()
        row = QHBoxLayout(self._mark_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.mark.native)
        row.addWidget(self._marked, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.combo.native, self._range_row, self._axis_row, self._mark_row):
            layout.addWidget(part)
        self.combo.changed.connect(self._choose)
        self.axis.changed.connect(self._show)
        self.first.changed.connect(self._keep_range)
        self.last.changed.connect(self._keep_range)
        self.mark.changed.connect(self.mark_slice)
        active.chosen.connect(self.follow)
        self.follow()

    def checked(self) -> Checked:
        """What was checked, across the axes of the image's own grid.

        Raises:
            InputError: if nobody knows where the labels lie, or no slice was marked.
        """
        layer = self._active.layer
        if layer is None or self.combo.value is Extent.ALL:
            return None
        grid = grid_of(layer)
        if self.combo.value is Extent.ASKED:
            return asked_for(layer.metadata, grid)
        if self.combo.value is Extent.MARKED:
            marks = marks_of(layer)
            if not any(marks.values()):
                raise InputError("expected marked slices, found none; go to a slice that you checked and click “Mark this slice”")
            return checked_slices(grid, marks)
        first, last = sorted((self.first.value, self.last.value))
        return checked_slices(grid, {self.axis.value: range(first, last + 1)})

    def mark_slice(self) -> None:
        """Mark the slice in view as checked, or take its mark away; what stands in the way is told to the user."""
        layer = self._active.layer
        if layer is None:
            return
        try:
            grid = grid_of(layer)
            axis = self._axis_in_view(grid)
        except InputError as error:
            show_failure(error)
            return
        at = position(layer, self._viewer.dims.point, self._viewer.dims.units)[-len(grid.shape) :]
        index = int(np.clip(round(at[axis]), 0, grid.shown_shape[axis] - 1))
        marks = marks_of(layer)
        marks[axis] = sorted({*marks.get(axis, [])} ^ {index})
        facts = {**layer.metadata.get(KEY, {}), MARKS: {str(key): value for key, value in marks.items() if value}}
        set_facts(layer, facts)
        self._show()

    def follow(self) -> None:
        """Show what was said of the labels in use, or what is preset for them."""
        layer = self._active.layer
        with self.combo.changed.blocked(), self.axis.changed.blocked():
            self.combo.reset_choices()
            self.axis.reset_choices()
            choices = [extent for _, extent in self._choices()]
            chosen = self._extents.get(layer) if layer is not None else None
            self.combo.value = chosen if chosen in choices else choices[0]
        self.combo.native.setEnabled(len(choices) > 1)
        self._show()

    def close_down(self) -> None:
        """Let go: nothing of the viewer's is held."""

    def _choices(self, *_: Any) -> list[tuple[str, Extent]]:
        layer = self._active.layer
        grid = known_grid_of(layer)
        extents = [Extent.ALL] if grid is None or len(grid.shape) != 3 else [Extent.ALL, Extent.RANGE, Extent.MARKED]
        names = [(extent.value, extent) for extent in extents]
        part = asked_in_words(layer.metadata) if grid is not None else ""
        return [(f"The {part} that was segmented", Extent.ASKED), *names] if part else names

    def _axes(self, *_: Any) -> list[tuple[str, int]]:
        layer = self._active.layer
        return [] if layer is None else [(name, axis) for axis, name in enumerate(list(layer.axis_labels)[-3:])]

    def _axis_in_view(self, grid: Grid) -> int:
        """The shown axis that the viewer's slider runs along."""
        dims, count = self._viewer.dims, len(grid.shape)
        inner = [axis - (dims.ndim - count) for axis in dims.not_displayed if axis >= dims.ndim - count]
        if count != 3 or len(inner) != 1:
            raise InputError("expected a view of one slice, found another; switch napari to 2D (Ctrl+Y), or say that all was checked")
        return int(inner[0])

    def _choose(self, *_: Any) -> None:
        layer = self._active.layer
        if layer is not None:
            self._extents[layer] = self.combo.value
            grid = known_grid_of(layer)
            if self.combo.value is Extent.RANGE and grid is not None and layer not in self._ranges:
                try:
                    with self.axis.changed.blocked():
                        self.axis.value = self._axis_in_view(grid)
                except InputError:
                    # Seen in 3D, any axis will do until the user chooses another.
                    pass
        self._show()

    def _show(self, *_: Any) -> None:
        for row in (self._range_row, self._axis_row):
            row.setVisible(self.combo.value is Extent.RANGE)
        self._mark_row.setVisible(self.combo.value is Extent.MARKED)
        layer = self._active.layer
        grid = known_grid_of(layer)
        if grid is not None and len(grid.shape) == 3 and self.axis.value is not None:
            names = list(layer.axis_labels)[-3:]
            marks = marks_of(layer)
            said = "; ".join(f"{names[axis]} {_in_words(marks[axis])}" for axis in sorted(marks) if marks[axis])
            self._marked.setText(said or "none yet")
            last = grid.shown_shape[self.axis.value] - 1
            with self.first.changed.blocked(), self.last.changed.blocked():
                self.first.max = self.last.max = last
                self.first.value, self.last.value = self._ranges.get(layer, {}).get(self.axis.value, (0, last))
        self._tell()

    def _keep_range(self, *_: Any) -> None:
        layer = self._active.layer
        if layer is not None:
            self._ranges.setdefault(layer, {})[self.axis.value] = (self.first.value, self.last.value)
        self._tell()

    def _tell(self, *_: Any) -> None:
        self.changed.emit()


def marks_of(layer: Any) -> dict[int, list[int]]:
    """The slices that are marked as checked, by shown axis."""
    return {int(axis): list(slices) for axis, slices in layer.metadata.get(KEY, {}).get(MARKS, {}).items()}


def _in_words(slices: Iterable[int]) -> str:
    """3, 10-12."""
    runs = [[index for _, index in run] for _, run in groupby(enumerate(sorted(slices)), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
