"""Segmenting on a thread of its own."""

# mypy: disallow-subclassing-any=False, disable-error-code="import-untyped"

from __future__ import annotations

import logging
from contextlib import closing
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import Signal

from ultralightunet.errors import UltraLightError
from ultralightunet.events import Progress
from ultralightunet.session import Request, Session
from ultralightunet.volume import Segmentation

from ._layers import Picture

logger = logging.getLogger(__name__)

_WORDS_OF_THE_DOCK = {
    "fill them with --nan-fill V, e.g. 0": "tick “Fill missing with” under Options",
    "--nan-fill": "“Fill missing with” under Options",
    "--volume-index N": "the time slider",
    "--volume-index": "the time slider",
}
"""The core's sentences name options of the command line; here is what they are called in the dock."""


class SegmentSignals(WorkerBaseSignals):
    """Signals of a `SegmentWorker`, delivered on the GUI's thread."""

    progressed = Signal(object)


class SegmentWorker(WorkerBase):
    """Segments one picture; `quit()` cancels within one window.

    Signals: `progressed(Progress)`, then `returned(Segmentation)` unless cancelled, or `errored(Exception)`; always `finished()`.
    """

    def __init__(self, session: Session, picture: Picture, request: Request) -> None:
        super().__init__(SignalsClass=SegmentSignals)
        self._session = session
        self._picture = picture
        self._request = request

    def work(self) -> Segmentation | None:
        """Runs on the thread."""
        self.progressed.emit(Progress("Loading", 0, 1))
        volume = self._picture.volume()
        with closing(self._session.segment(volume, self._request)) as steps:
            while not self.abort_requested:
                try:
                    self.progressed.emit(next(steps))
                except StopIteration as end:
                    result: Segmentation = end.value
                    return result
        return None


def show_failure(error: Exception) -> str:
    """Tell the user: one sentence where we know what is wrong, else whatever there is, with its traceback a click away.

    Returns:
        What was said.
    """
    if isinstance(error, UltraLightError):
        message = in_words_of_the_dock(str(error))
        show_error(message)
        return message
    logger.error("unexpected failure", exc_info=error)
    arguments: tuple[Any, ...] = (type(error), error, error.__traceback__)
    notification_manager.receive_error(*arguments)
    return f"Unexpected failure: {error}"


def in_words_of_the_dock(message: str) -> str:
    """`message` with the command line's options replaced by the dock's."""
    for option, name in _WORDS_OF_THE_DOCK.items():
        message = message.replace(option, name)
    return message[:1].upper() + message[1:]
