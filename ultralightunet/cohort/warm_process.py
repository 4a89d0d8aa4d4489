"""A process that labels case after case and may die of one: whoever asks learns how, and starts another."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any

from ..child import end_process, how_it_ended, start_process
from ..errors import ModelError, UltraLightError
from ..events import Progress
from .place import ObstacleError

_HEARTBEAT = 0.2
"""Seconds after which the last event comes again, so that whoever runs the generator can close it."""

_PATIENCE = 5.0
"""Seconds that a process has to leave a window of the network when it is no longer wanted."""

_STARTS = 5
"""How often it is started before that is given up."""

_KINDS = {"ModelError": ModelError, "ObstacleError": ObstacleError}


class ProcessDiedError(UltraLightError):
    """The process ended in the middle of its work."""


class TooLongError(UltraLightError):
    """A request took longer than it may, and its process was ended."""


class WarmProcess:
    """Runs `python -m ultralightunet.worker`, started when it is first asked.

    Args:
        command: what is run in its place.
        clock: tells the seconds.
    """

    def __init__(self, command: Sequence[str] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._command = command or [sys.executable, "-X", "faulthandler", "-m", "ultralightunet.worker"]
        self._clock = clock
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._words: deque[str | None] = deque(maxlen=100)
        self._count = 0

    @property
    def words(self) -> str:
        """What it said last on its standard error, for a log."""
        return "\n".join(word for word in self._words if word)

    def ask(self, do: str, *, limit: float | None = None, **facts: Any) -> Generator[Progress, None, dict[str, Any]]:
        """Let it do something.

        Args:
            do: the name of the task.
            limit: seconds that it may take, once the process is ready.
            **facts: what the task takes.

        Yields:
            How far it is, the last again and again while nothing new comes. Closing the generator ends the process.

        Returns:
            What the task came to.

        Raises:
            ProcessDiedError: if the process ended.
            TooLongError: if it took longer than `limit`.
            UltraLightError: with the task's own sentence if it failed.
        """
        try:
            process = yield from self._ready()
            self._count += 1
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps({"id": self._count, "do": do, **facts}) + "\n")
                process.stdin.flush()
            last = Progress("Beginning", 0, 1)
            began = self._clock()
            while True:
                event = self._next()
                if event.get("event") == "progress":
                    last = Progress(event["stage"], event["done"], event["total"])
                elif event.get("event") == "result":
                    result: dict[str, Any] = event["result"]
                    return result
                elif event:
                    raise _KINDS.get(event.get("kind", ""), UltraLightError)(event.get("sentence", "the work was cancelled"))
                if limit is not None and self._clock() - began > limit:
                    raise TooLongError(
                        f"expected to be done within {limit:g} s, found it at {last.stage} ({last.done} of {last.total}); "
                        "give it longer (--case-timeout) or look at the image"
                    )
                yield last
        except (ProcessDiedError, TooLongError):
            self.close(at_once=True)
            raise
        except UltraLightError:
            raise
        except BaseException:
            # Cancelled, by Ctrl+C or whoever closes this generator.
            self.close()
            raise

    def close(self, *, at_once: bool = False) -> None:
        """End the process; it has a moment to tidy up unless it must go at once."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with suppress(BrokenPipeError, OSError):
                process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0 if at_once else _PATIENCE)
        if at_once and process.poll() is None:
            process.kill()
        end_process(process)

    def _ready(self) -> Generator[Progress, None, subprocess.Popen[str]]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        for trial in range(_STARTS):
            self.close(at_once=True)
            lines: queue.Queue[str | None] = queue.Queue()
            words: deque[str | None] = deque(maxlen=100)
            self._lines, self._words = lines, words
            self._process = process = start_process(self._command, stdin=subprocess.PIPE)
            for stream, take in ((process.stdout, lines.put), (process.stderr, words.append)):
                threading.Thread(target=_pass_on, args=(stream, take), daemon=True).start()
            try:
                while not self._next():
                    yield Progress("Starting", trial, _STARTS)
            except ProcessDiedError as error:
                how = f"{error} ({next((word for word in reversed(words) if word), 'it said nothing')})"
                continue
            return process
        raise UltraLightError(f"expected a process that labels images, found that it ended at once with {how}; close other programs")

    def _next(self) -> dict[str, Any]:
        """The next event, an empty one if none has come for a while.

        Raises:
            ProcessDiedError: if none will come.
        """
        try:
            line = self._lines.get(timeout=_HEARTBEAT)
        except queue.Empty:
            return {}
        if line is None:
            assert self._process is not None
            raise ProcessDiedError(how_it_ended(self._process.wait()))
        event: dict[str, Any] = json.loads(line)
        return event


def _pass_on(stream: Any, take: Callable[[str | None], None]) -> None:
    """Hand on each line, and None at the end."""
    with stream:
        for line in stream:
            take(line.rstrip("\n"))
    take(None)
