"""The wheel scrolls the dock, whatever lies under the pointer."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QAbstractSlider, QAbstractSpinBox, QComboBox, QScrollBar, QWidget


class CalmWheel(QObject):
    """Keeps the wheel from changing values: a number or choice that slid under the pointer is changed without being seen.

    Args:
        content: what is scrolled; its parts must be in it already.
    """

    def __init__(self, content: QWidget) -> None:
        super().__init__(content)
        for kind in (QComboBox, QAbstractSpinBox, QAbstractSlider):
            for part in content.findChildren(kind):
                if isinstance(part, QScrollBar):
                    continue
                # Some kinds would take the focus when the wheel turns over them.
                part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                part.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Leave the wheel to what lies around a part."""
        if event.type() != QEvent.Type.Wheel:
            return False
        event.ignore()
        return True
