"""Questions that only the user can answer."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QMessageBox, QWidget


def confirm(parent: QWidget | None, text: str, yes: str = "Yes") -> bool:
    """Whether the user wants it; nobody who presses Enter or Escape has said so."""
    return ask(parent, text, [yes, "Cancel"]) == yes


def ask(parent: QWidget | None, text: str, answers: Sequence[str]) -> str:
    """One of several answers; the last is the one that Enter and Escape stand for."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("UltraLight")
    box.setText(text)
    buttons: list[Any] = [box.addButton(answer, QMessageBox.ButtonRole.ActionRole) for answer in answers]
    box.setDefaultButton(buttons[-1])
    box.setEscapeButton(buttons[-1])
    box.exec()
    return answers[buttons.index(box.clickedButton())] if box.clickedButton() in buttons else answers[-1]
