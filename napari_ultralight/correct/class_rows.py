"""The table of classes as it is drawn: a row for each label with its colour, name and amount. Knows no layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from ultralightunet.models import LabelClass

COLOR, NAME, AMOUNT = range(3)


class ClassRows(QTableWidget):
    """Shows classes and how much there is of each; the label of a row is kept with its name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self.setHorizontalHeaderLabels(["", "Class", "Volume (ml)"])
        self.setToolTip("Click a class to paint it with napari's brush (key 2 or P); 1 or E erases.")
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(26)
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.horizontalHeader()
        header.setSectionResizeMode(COLOR, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(AMOUNT, QHeaderView.ResizeMode.ResizeToContents)
        self.setColumnWidth(COLOR, 30)
        # A click leaves the keys to napari's tools (1 to 4); Tab comes here for the arrow keys, and goes on.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setTabKeyNavigation(False)

    def fill(
        self,
        classes: Sequence[LabelClass],
        counts: Mapping[int, int] | None,
        volumes: Mapping[int, float] | None = None,
        *,
        color: Callable[[int], Any] = lambda label: None,
    ) -> None:
        """Show these classes, and labels that were counted but belong to none.

        Args:
            classes: background is left out.
            counts: voxels by label, None while they are being counted.
            volumes: millilitres by label, None where voxels have no known size.
            color: the RGBA colour of a label, each from 0 to 1; None for nothing.
        """
        named = {c.index: c for c in classes if c.index}
        labels = [*named, *sorted(set(counts or ()) - set(named))]
        self.blockSignals(True)
        self.setRowCount(len(labels))
        for row, label in enumerate(labels):
            known = named.get(label)
            count = counts.get(label, 0) if counts is not None else None
            amount = "…" if count is None else f"{count:,}" if volumes is None else f"{volumes.get(label, 0.0):,.2f}"
            name = known.name if known else f"label {label}"
            tip = f"Label {label}: click to paint {name}"
            if known and known.snomed:
                tip += f"\nSNOMED CT {known.snomed}"
            if count is not None:
                tip += f"\n{count:,} voxels"
            self._set(row, COLOR, "", tip, icon=_swatch(color(label)))
            self._set(row, NAME, name, tip, label=label)
            self._set(row, AMOUNT, amount, tip)
        self.blockSignals(False)
        height = self.horizontalHeader().height() + sum(self.rowHeight(row) for row in range(len(labels))) + 4
        self.setFixedHeight(min(height, 260))

    def count_in(self, unit: str) -> None:
        """Head the column of amounts with their unit."""
        self.setHorizontalHeaderItem(AMOUNT, QTableWidgetItem(unit))

    def rows(self) -> list[tuple[int, str, str]]:
        """Label, name and amount of each row, as shown."""
        return [(self.label_at(row), self._item(row, NAME).text(), self._item(row, AMOUNT).text()) for row in range(self.rowCount())]

    def label_at(self, row: int) -> int:
        """The label of a row."""
        return int(self._item(row, NAME).data(Qt.ItemDataRole.UserRole))

    def select(self, label: int | None) -> None:
        """Mark the row of a label, or none where it has no row; nobody is told."""
        labels = [self.label_at(row) for row in range(self.rowCount())]
        self.blockSignals(True)
        if label in labels:
            self.setCurrentCell(labels.index(label), NAME)
        else:
            self.setCurrentCell(-1, -1)
        self.blockSignals(False)

    def _set(self, row: int, column: int, text: str, tip: str, *, icon: QIcon | None = None, label: int | None = None) -> None:
        item = QTableWidgetItem(text)
        item.setToolTip(tip)
        if icon is not None:
            item.setIcon(icon)
        if label is not None:
            item.setData(Qt.ItemDataRole.UserRole, label)
        if column == AMOUNT:
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setItem(row, column, item)

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self.item(row, column)
        assert item is not None
        return item


def _swatch(rgba: Any) -> QIcon:
    pixmap = QPixmap(16, 16)
    pixmap.fill(QColor(*(round(float(value) * 255) for value in (rgba if rgba is not None else (0, 0, 0, 0)))))
    icon = QIcon(pixmap)
    # Qt would tint the colour in a selected row.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
