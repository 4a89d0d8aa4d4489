"""Long work on a thread of its own, and what is said when it fails."""

# mypy: disallow-subclassing-any=False, disable-error-code="import-untyped"

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import Signal

from ultralightunet.errors import UltraLightError

logger = logging.getLogger(__name__)

_WORDS_OF_THE_DOCK = {
    "fill them with --nan-fill V, e.g. 0": "tick “Fill missing with” under Options",
    "--nan-fill": "“Fill missing with” under Options",
    "--volume-index N": "the time slider",
    "--volume-index": "the time slider",
    "found no --dicom-source; give the folder": "found no source folder; choose the one",
    "check --dicom-source": "check the source folder",
    "add some with `ultralight corrections add`": "save one first",
    " (--confirm)": "",
    "; `ultralight models` lists them": "",
    "add the class to the model": "add it with “New class…”",
}
"""The core's sentences name options of the command line; here is what they are called in the dock."""


Steps = Generator[Any, None, Any]
"""What long work is in the core: events, then a result."""


class StepsSignals(WorkerBaseSignals):
    """Signals of a `StepsWorker`, delivered on the GUI's thread."""

    progressed = Signal(object)


class StepsWorker(WorkerBase):
    """Runs a generator of the core; `quit()` closes it after its next event.

    Signals: `progressed(event)`, then `returned(result)` unless cancelled, or `errored(Exception)`; always `finished()`.
    """

    def __init__(self, start: Callable[[], Steps]) -> None:
        super().__init__(SignalsClass=StepsSignals)
        self._start = start

    def work(self) -> Any:
        """Runs on the thread."""
        with closing(self._start()) as steps:
            while not self.abort_requested:
                try:
                    self.progressed.emit(next(steps))
                except StopIteration as end:
                    return end.value
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
