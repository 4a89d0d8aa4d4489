"""A job: one piece of long work at a time, with its progress, its end and its failure as Qt signals."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from .worker import Steps, StepsWorker, show_failure


class Job(QObject):
    """Runs a generator of the core on a thread; is ready for the next whatever became of it.

    Signals: `progressed(event)`; `returned(result)` when it is done; `failed(str)` with what the user was told; at last `ended(bool)`,
    True if it was cancelled.
    """

    progressed = Signal(object)
    returned = Signal(object)
    failed = Signal(str)
    ended = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.worker: StepsWorker | None = None

    @property
    def is_running(self) -> bool:
        """Whether something is under way."""
        return self.worker is not None

    def start(self, steps: Callable[[], Steps]) -> bool:
        """Run what `steps` makes; False, and nothing is done, while something else is under way."""
        if self.worker is not None:
            return False
        self.worker = StepsWorker(steps)
        self.worker.progressed.connect(self._progressed)
        self.worker.returned.connect(self._returned)
        self.worker.errored.connect(self._errored)
        self.worker.finished.connect(self._finished)
        self.worker.start()
        return True

    def stop(self) -> None:
        """Cancel what is under way; touches nothing of Qt's, so that it can be called when the widget is gone."""
        if self.worker is not None:
            self.worker.quit()

    def _progressed(self, event: Any) -> None:
        if self.worker is not None and not self.worker.abort_requested:
            self.progressed.emit(event)

    def _returned(self, result: Any) -> None:
        if self.worker is not None and not self.worker.abort_requested:
            self.returned.emit(result)

    def _errored(self, error: Exception) -> None:
        self.failed.emit(show_failure(error))

    def _finished(self) -> None:
        was_cancelled = self.worker is not None and self.worker.abort_requested
        self.worker = None
        self.ended.emit(was_cancelled)
