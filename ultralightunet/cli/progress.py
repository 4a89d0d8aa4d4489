"""Shows events of long work: a bar for a person, JSON lines for a program."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..events import Epoch, Note, Progress, Version


class ProgressLines:
    """One JSON object a line on stdout for each event that says something new."""

    def __init__(self) -> None:
        self._last: Any = None

    def __call__(self, event: Any) -> None:
        """Show an event."""
        if event == self._last:
            return
        self._last = event
        write_json(event=type(event).__name__.lower(), **asdict(event))

    def close(self) -> None:
        """Nothing is left to do."""


class ProgressBar:
    """A bar on stderr, one for each stage; none where stderr is not a terminal."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None
        self._stage = ""

    def __call__(self, event: Any) -> None:
        """Show an event."""
        if not isinstance(event, Progress):
            return
        if self._bar is None or event.stage != self._stage:
            self.close()
            self._stage = event.stage
            self._bar = tqdm(total=event.total, desc=f"{self._title}: {event.stage}", leave=False, disable=None, file=sys.stderr)
        self._bar.update(event.done - self._bar.n)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class TrainingBar(ProgressBar):
    """As `ProgressBar`, with loss and scores while a network learns."""

    def __call__(self, event: Any) -> None:
        """Show an event."""
        if isinstance(event, Version | Note):
            self._say(event)
        if not isinstance(event, Epoch):
            super().__call__(event)
            return
        super().__call__(Progress("Training", event.step, event.steps))
        if self._bar is not None:
            # How many steps fit into the time is an estimate that gets better.
            self._bar.total = event.steps
            figures = {"loss": event.loss, **event.scores}
            self._bar.set_postfix_str(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))

    def _say(self, event: Version | Note) -> None:
        figures = "".join(f", {name} {value:.3f}" for name, value in event.scores.items()) if isinstance(event, Version) else ""
        said = f"can be used as it is: {event.folder} (version {event.number}{figures})" if isinstance(event, Version) else event.sentence
        tqdm.write(f"{self._title}: {said}", file=sys.stderr)


def write_json(**facts: Any) -> None:
    """One JSON object on a line of stdout, seen at once by whoever reads along."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def warn(path: Path, sentence: str) -> None:
    """One line on stderr about a file that was used all the same."""
    sys.stderr.write(f"ultralight: {path}: {sentence}\n")
