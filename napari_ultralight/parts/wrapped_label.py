"""A text of several lines that is never cut off."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QLabel, QWidget


class WrappedLabel(QLabel):
    """As high as its text needs at its width: layouts in layouts do not ask again when either changes."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)

    def setText(self, text: str) -> None:
        """Show a text."""
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: Any) -> None:
        """Follow the width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        needed = self.heightForWidth(self.width())
        if needed >= 0 and needed != self.minimumHeight():
            self.setFixedHeight(needed)
