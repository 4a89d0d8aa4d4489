"""A part of the dock that opens and closes, so that one sees no more than one needs."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QToolButton, QVBoxLayout, QWidget


class Fold(QWidget):
    """A title with an arrow, and beneath it what belongs to it.

    Signals: `opened()` when it was unfolded.

    Attributes:
        body: the layout for the contents.
    """

    opened = Signal()

    def __init__(self, title: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._content = QWidget()
        self.body = QVBoxLayout(self._content)
        self.body.setContentsMargins(4, 2, 0, 6)
        self.body.setSpacing(6)
        self._fold = QToolButton()
        self._fold.setObjectName("fold")
        self._fold.setText(title)
        self._fold.setToolTip(tooltip)
        self._fold.setCheckable(True)
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setArrowType(Qt.ArrowType.RightArrow)
        self._fold.toggled.connect(self._unfold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._fold)
        layout.addWidget(self._content)
        self._content.hide()

    @property
    def is_open(self) -> bool:
        """Whether its contents are shown."""
        return bool(self._fold.isChecked())

    def expand(self) -> None:
        """Unfold."""
        self._fold.setChecked(True)

    def fold(self) -> None:
        """Show the title only."""
        self._fold.setChecked(False)

    def mark(self, text: str) -> None:
        """Add a word to the title; an empty one takes it away."""
        self._fold.setText(f"{self._title}   {text}".rstrip())

    @property
    def title(self) -> str:
        """What is shown, with its mark."""
        return str(self._fold.text())

    def _unfold(self, is_open: bool) -> None:
        self._fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._content.setVisible(is_open)
        if is_open:
            self.opened.emit()
