"""The versions of a model: what each came from, how good it is, and which one is in use."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from magicgui.widgets import PushButton
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHBoxLayout, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from ultralightunet.errors import UltraLightError
from ultralightunet.models import Version, set_current, versions

from ..parts.worker import show_failure

COLUMNS = ("Version", "Dice", "Cases", "Made")


class VersionList(QWidget):
    """A table of versions, where the selected one came from, and a button that goes to it.

    Signals: `used()` when another version is in use.

    Attributes:
        button: makes the selected version the one that Segment uses.
    """

    used = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._versions: tuple[Version, ...] = ()
        self._table = QTableWidget(0, len(COLUMNS))
        self._table.setHorizontalHeaderLabels(COLUMNS)
        self._table.setToolTip("The version in use is in bold. No version is ever changed or deleted.")
        self._table.verticalHeader().hide()
        self._table.verticalHeader().setDefaultSectionSize(24)
        self._table.setShowGrid(False)
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.button = PushButton(
            text="Use this version", tooltip="Segment with the selected version from now on; any other is one click away."
        )
        self._origin = QLabel()
        self._origin.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._table)
        row = QHBoxLayout()
        row.addWidget(self._origin, 1)
        row.addWidget(self.button.native)
        layout.addLayout(row)
        self._table.itemSelectionChanged.connect(self._show_button)
        self.button.changed.connect(self._use_selected)
        self._show_button()

    def rows(self) -> list[tuple[str, ...]]:
        """The table, as shown."""
        return [tuple(self._cell(row, column) for column in range(len(COLUMNS))) for row in range(self._table.rowCount())]

    @property
    def origin(self) -> str:
        """What is said of the selected version."""
        return str(self._origin.text())

    def select(self, row: int) -> None:
        """Select a version."""
        self._table.selectRow(row)

    def show_model(self, name: str) -> None:
        """List the versions of a model."""
        try:
            self._versions = versions(name)
        except UltraLightError as error:
            show_failure(error)
            self._versions = ()
        self._table.setRowCount(len(self._versions))
        for row, version in enumerate(self._versions):
            mark = " ✓" if version.is_current else ""
            texts = (f"{version.model.version}{mark}", score_of(version.scores), str(len(version.cases) or "-"), _time(version.created))
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(_told(version))
                font = item.font()
                font.setBold(version.is_current)
                item.setFont(font)
                if column in (1, 2):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self._table.setItem(row, column, item)
        self._table.setFixedHeight(min(self._table.horizontalHeader().sizeHint().height() + 24 * max(1, len(self._versions)) + 4, 150))
        self._show_button()

    def use(self, name: str, version: str) -> None:
        """Segment with a version from now on; what stands in the way is told to the user."""
        try:
            set_current(name, version)
        except UltraLightError as error:
            show_failure(error)
            return
        self.show_model(name)
        self.used.emit()

    def _use_selected(self) -> None:
        row = self._table.currentRow()
        if 0 <= row < len(self._versions):
            model = self._versions[row].model
            self.use(model.name, model.version)

    def _show_button(self) -> None:
        row = self._table.currentRow()
        is_selected = 0 <= row < len(self._versions) and bool(self._table.selectedItems())
        self._origin.setText(_origin_of(self._versions[row]) if is_selected else "")
        self.button.enabled = is_selected and not self._versions[row].is_current

    def _cell(self, row: int, column: int) -> str:
        item = self._table.item(row, column)
        return str(item.text()) if item is not None else ""


def score_of(scores: Mapping[str, Any]) -> str:
    """The figure that tells most about a version, as far as it was measured: on held-out cases, else an estimate ("~"), else any Dice.

    Where the version that it was made from was measured on the same cases, that one's figure comes first.
    """
    named = [(name, value) for name, value in scores.items() if "dice" in name.lower()]
    for name, value in sorted(named, key=lambda pair: ("held-out" not in pair[0], "estimate" not in pair[0])):
        figures = value if isinstance(value, Mapping) else {"mean": value}
        mean, before = figures.get("mean"), figures.get("parent")
        if isinstance(mean, int | float):
            was = f"{before:.3f} → " if isinstance(before, int | float) else ""
            return f"{'~' if 'estimate' in name else ''}{was}{mean:.3f}"
    return "-"


def _origin_of(version: Version) -> str:
    if not version.parent:
        return "Not retrained here."
    cases = f"{len(version.cases)} case{'' if len(version.cases) == 1 else 's'}"
    return f"Made from {version.parent} with {cases}."


def _told(version: Version) -> str:
    lines = [version.model.id, _origin_of(version)]
    for name, value in version.scores.items():
        lines.append(f"{name}: {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, Mapping) else value}")
    if version.cases:
        lines.append("learned from " + ", ".join(version.cases[:8]) + (" …" if len(version.cases) > 8 else ""))
    return "\n".join(lines)


def _time(created: str) -> str:
    """In the user's time; "-" where it is not known."""
    try:
        return f"{datetime.fromisoformat(created).astimezone():%d %b %Y, %H:%M}"
    except ValueError:
        return "-"
