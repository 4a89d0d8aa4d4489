"""A path where there is little room."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget


class PathLabel(QLabel):
    """Shows the end of a path, which tells most; the tooltip is the place for all of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._path = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def show_path(self, path: str) -> None:
        """Show a path."""
        self._path = path
        self._fit()

    def resizeEvent(self, event: Any) -> None:
        """Show as much as there is room for."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._path, Qt.TextElideMode.ElideLeft, max(40, self.width() - 4)))
