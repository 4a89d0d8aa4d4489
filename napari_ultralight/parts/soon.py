"""What is to happen once the window has taken in what happened before."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget


def soon(widget: QWidget, act: Callable[[], object]) -> None:
    """Call `act` in the event loop's next turn, unless `widget` is gone by then: a dock may be closed in between."""
    timer = QTimer(widget, singleShot=True)
    timer.timeout.connect(act)
    timer.timeout.connect(timer.deleteLater)
    timer.start(0)
