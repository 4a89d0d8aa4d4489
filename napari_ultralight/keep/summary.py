"""What a correction changes, as a small table."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from ultralightunet.corrections import Summary


class SummaryView(QWidget):
    """Voxels that changed, Dice between prediction and correction, and each class before and after."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setToolTip("Dice between what was predicted and what is there now, where it was checked: 1 if they are the same.")
        self._table = QTableWidget(0, 4)
        self._table.verticalHeader().hide()
        self._table.verticalHeader().setDefaultSectionSize(24)
        self._table.setShowGrid(False)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._text)
        layout.addWidget(self._table)
        self.say("")

    @property
    def text(self) -> str:
        """What is said above the table."""
        return str(self._text.text())

    def rows(self) -> list[tuple[str, ...]]:
        """The table, as shown."""
        return [tuple(self._cell(row, column) for column in range(4)) for row in range(self._table.rowCount())]

    def say(self, text: str) -> None:
        """A line instead of the table."""
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self._table.hide()

    def show_summary(self, summary: Summary) -> None:
        """Fill the table."""
        part = "" if summary.voxels_checked == summary.voxels else f" of {summary.voxels_checked:,} checked"
        # Without a prediction, what a person drew is all new.
        verb = "labelled" if summary.dice is None else "changed"
        score = "" if summary.dice is None else f" · Dice <b>{summary.dice:.3f}</b>"
        self._text.setText(f"<b>{summary.voxels_changed:,}</b>{part} voxels {verb}{score}")
        self._text.show()
        in_ml = any(change.ml_after is not None for change in summary.classes)
        self._table.setHorizontalHeaderLabels(["Class", "Before", "After (ml)" if in_ml else "After (voxels)", "Dice"])
        self._table.setRowCount(len(summary.classes))
        for row, change in enumerate(summary.classes):
            amounts = (change.ml_before, change.ml_after) if in_ml else (change.voxels_before, change.voxels_after)
            texts = [change.name, *(_amount(value) for value in amounts), "-" if change.dice is None else f"{change.dice:.3f}"]
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.setToolTip(f"{change.name}: {change.voxels_before} voxels before, {change.voxels_after} now")
                self._table.setItem(row, column, item)
        height = self._table.horizontalHeader().sizeHint().height() + 24 * len(summary.classes) + 4
        self._table.setFixedHeight(min(height, 180))
        self._table.show()

    def _cell(self, row: int, column: int) -> str:
        item = self._table.item(row, column)
        return str(item.text()) if item is not None else ""


def _amount(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
