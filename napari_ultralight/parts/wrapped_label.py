"""A text of several lines that is never cut off."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from .soon import soon


class WrappedLabel(QLabel):
    """As high as its text needs at its width: layouts in layouts do not ask again how high that is when either changes."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def hasHeightForWidth(self) -> bool:
        """Layouts need not ask: the hints below follow the width."""
        return False

    def sizeHint(self) -> QSize:
        """What the text needs at the width that it has."""
        return QSize(super().sizeHint().width(), self.heightForWidth(self.width()))

    def minimumSizeHint(self) -> QSize:
        """No less."""
        return QSize(super().minimumSizeHint().width(), self.heightForWidth(self.width()))

    def resizeEvent(self, event: Any) -> None:
        """Follow the width, once the layout that gave it is done: what it is told meanwhile it forgets."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            soon(self, self.updateGeometry)
