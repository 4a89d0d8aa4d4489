"""The process beside Slicer in which the core works, spoken to in lines of JSON. Free of Qt: whoever owns it calls `poll`."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from .complaint import kept, reason
from .problem import Problem, in_words_of_the_module

Facts = dict[str, Any]

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Listener:
    """Who is told of a request.

    Attributes:
        done: takes the facts of its result.
        failed: takes a sentence; "" if it was cancelled.
        progress: takes each event on the way.
    """

    done: Callable[[Facts], None]
    failed: Callable[[str], None]
    progress: Callable[[Facts], None] = lambda event: None


class Worker:
    """Starts `python -m ultralightunet.worker` when it is first asked for something, and keeps it.

    A process that has ended is started anew by the next request.

    Attributes:
        command: the interpreter.
        environment: makes its environment, when it is started.
        log: takes a line of text for every event worth keeping.
        starts: how often a process was started: what one was told, the next one does not know.
    """

    def __init__(
        self,
        command: Callable[[], Sequence[str]],
        environment: Callable[[], Mapping[str, str]],
        *,
        log: Callable[[str], None] = _LOG.info,
    ) -> None:
        self.command = command
        self.environment = environment
        self.log = log
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: Any = None
        self._unread = b""
        self._listeners: dict[int, Listener] = {}
        self._number = 0
        self._pid: int | None = None
        self._leaving: list[subprocess.Popen[bytes]] = []

    @property
    def is_busy(self) -> bool:
        """Whether a request has not ended yet."""
        return bool(self._listeners)

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int | None:
        """Of the Python that works, which a launcher may have started; None until it has said so."""
        return self._pid

    def start(self) -> None:
        """Start the process, so that the first request need not wait for it.

        Raises:
            Problem: if it cannot be started.
        """
        if self.is_running:
            return
        self._reap()
        # A file, not a pipe: nobody need read it for the process to go on.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `_reap`
        try:
            self._process = subprocess.Popen(
                [*self.command(), "-m", "ultralightunet.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env=dict(self.environment()),
                creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
            )
        except OSError as error:
            raise Problem(
                _("Expected to start Slicer's Python, found an obstacle: {error}; install Slicer again").format(error=error)
            ) from error
        self.starts += 1
        assert self._process.stdout is not None
        # Threads get no time in Slicer while its event loop runs, so the pipe is read by polling.
        os.set_blocking(self._process.stdout.fileno(), False)

    def ask(self, listener: Listener, **request: Any) -> int:
        """Send a request.

        Returns:
            Its number, for `cancel`.

        Raises:
            Problem: if the process cannot be started.
        """
        self.start()
        self._number += 1
        self._listeners[self._number] = listener
        self._send({"id": self._number, **request})
        return self._number

    def tell(self, **request: Any) -> None:
        """Send a request whose end nobody waits for; a process that is not there need not be told."""
        if self.is_running:
            self._number += 1
            self._send({"id": self._number, **request})

    def cancel(self, number: int, *, silently: bool = False) -> None:
        """End a request early; its listener hears of it, unless `silently`."""
        if number in self._listeners:
            self._send({"id": number, "do": "cancel"})
        if silently:
            self._listeners.pop(number, None)

    def poll(self) -> None:
        """Tell the listeners what has happened since."""
        if self._process is None:
            return
        has_ended = self._process.poll() is not None
        *lines, self._unread = (self._unread + self._read()).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if has_ended and self._process is not None:
            self._bury(self._process.returncode)

    def stop(self) -> None:
        """Let the process go, with whatever it started: it ends by itself when its stdin closes. Nobody is told of open requests."""
        self._listeners.clear()
        self._reap()

    def _send(self, message: Facts) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            # It has ended; `poll` finds out and tells those who wait.
            _LOG.debug("the process took no request")

    def _read(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        found = []
        try:
            while chunk := os.read(self._process.stdout.fileno(), _CHUNK):
                found.append(chunk)
        except OSError:
            # Nothing more for now, which Windows calls an invalid argument and not a blocking read; `poll` sees whether it has ended.
            pass
        return b"".join(found)

    def _take(self, event: Facts) -> None:
        kind = event.pop("event")
        if kind == "ready":
            self._pid = event["process"]
            return
        number = event.pop("id")
        listener = self._listeners.get(number)
        if listener is None:
            return
        if kind not in ("result", "error", "cancelled"):
            listener.progress({"event": kind, **event})
            return
        del self._listeners[number]
        if kind == "result":
            listener.done(event["result"])
        else:
            listener.failed(in_words_of_the_module(event["sentence"]) if kind == "error" else "")

    def _bury(self, code: int) -> None:
        waiting, self._listeners = self._listeners, {}
        self._complaints.seek(0)
        complaint = self._complaints.read().decode("utf-8", "replace")
        self._reap()
        self.log(_("UltraLight's process has ended with the code {code}. {complaint}").format(code=code, complaint=kept(complaint)).strip())
        why = reason(complaint)
        sentence = (
            _("UltraLight's process ended unexpectedly ({reason}); nothing was changed, try again; the log below says more")
            if why
            else _("UltraLight's process ended unexpectedly; nothing was changed, try again")
        )
        for listener in waiting.values():
            listener.failed(sentence.format(reason=why))

    def _reap(self) -> None:
        process, self._process, self._pid, self._unread = self._process, None, None, b""
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                # What was not sent yet finds no reader.
                continue
        if self._complaints is not None:
            self._complaints.close()
        # It may take a moment to end, for which nobody waits here.
        self._leaving = [leaving for leaving in (*self._leaving, process) if leaving.poll() is None]
