"""What is asked when napari, or the dock, is closed with labels that are not saved."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer

from ..parts.ask import ask
from .unsaved import Unsaved

PLUGIN = "napari-ultralight"

SAVE, KEEP, DISCARD, CANCEL, REOPEN = "Save them…", "Keep for next time", "Discard", "Cancel", "Open it again"


class Closing(QObject):
    """Watches napari's window. Whatever is answered, labels are lost only by “Discard”."""

    def __init__(self, viewer: Any, unsaved: Unsaved, offer_to_save: Callable[[Any], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._unsaved = unsaved
        self._offer_to_save = offer_to_save
        # A viewer without a window, such as a script makes, is closed by nobody.
        if self._has_window:
            viewer.window._qt_window.installEventFilter(self)

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        """Ask before the window closes."""
        if event.type() != QEvent.Type.Close or watched is not self._viewer.window._qt_window:
            return False
        # A program that closes the viewer has taken its inside apart by now, and expects no question.
        if not self._viewer.window._qt_viewer.isVisible() or self._may_close():
            return False
        event.ignore()
        return True

    def dock_closed(self) -> None:
        """Say where unsaved labels are, once napari has closed the dock, which cannot be refused."""
        names = [layer.name for layer in self._unsaved.layers]
        if names and self._has_window:
            QTimer.singleShot(0, lambda: _ask_to_reopen(self._viewer, names))

    @property
    def _has_window(self) -> bool:
        return hasattr(self._viewer, "window")

    def _may_close(self) -> bool:
        self._unsaved.flush()
        layers = self._unsaved.layers
        if not layers:
            return True
        text = f"{_listed([layer.name for layer in layers])} not saved as a correction."
        answer = ask(self._viewer.window._qt_window, text, [SAVE, KEEP, DISCARD, CANCEL])
        if answer == SAVE:
            self._offer_to_save(layers[0])
        elif answer == DISCARD:
            self._unsaved.forget(layers)
        return answer in (KEEP, DISCARD)


def _ask_to_reopen(viewer: Any, names: list[str]) -> None:
    text = (
        f"{_listed(names)} not saved as a correction.\nThey stay in the viewer, and are kept on disk as they are now; "
        "while the dock is closed, further changes are not."
    )
    if ask(viewer.window._qt_window, text, [REOPEN, KEEP]) == REOPEN:
        viewer.window.add_plugin_dock_widget(PLUGIN)


def _listed(names: list[str]) -> str:
    return f"“{names[0]}” is" if len(names) == 1 else f"{', '.join(f'“{name}”' for name in names)} are"
