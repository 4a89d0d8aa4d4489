"""What a widget with a job tells: whether it is at work, and one line beneath it."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from qtpy.QtWidgets import QLabel

from .job import Job


class Told:
    """For widgets that have a `_job` and a `_status`, which is hidden while it says nothing."""

    _job: Job
    _status: QLabel

    @property
    def is_running(self) -> bool:
        """Whether its job is under way."""
        return self._job.is_running

    @property
    def status(self) -> str:
        """What was said last."""
        return str(self._status.text())

    def say(self, text: str) -> None:
        """Show what goes on, or what came of it."""
        self._status.setText(text)
        self._status.setVisible(bool(text))
