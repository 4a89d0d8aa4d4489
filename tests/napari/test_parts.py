"""Small parts that the dock is made of."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_ultralight.parts.soon import soon
from tests.napari.conftest import until


def test_what_is_to_happen_soon_happens_once_unless_its_widget_is_gone(qtbot: Any) -> None:
    happened: list[str] = []
    kept, gone = QWidget(), QWidget()
    qtbot.addWidget(kept)
    soon(gone, lambda: happened.append("gone"))
    soon(kept, lambda: happened.append("kept"))
    assert not happened
    gone.deleteLater()
    QApplication.sendPostedEvents(gone, QEvent.Type.DeferredDelete.value)
    until(qtbot, lambda: happened)
    qtbot.wait(1)
    assert happened == ["kept"]
