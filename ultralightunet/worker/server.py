"""A warm process that a host asks to segment, save corrections and retrain, 3D Slicer say, whose own process must stay free.

`python -m ultralightunet.worker` reads requests from stdin and answers on stdout, one JSON object a line:

    {"id": 1, "do": "segment", "model": "brain", "image": "image.npy", "affine": [[...]], "labels": "labels.npy"}
    {"id": 1, "event": "progress", "stage": "Segmenting", "done": 3, "total": 8}
    {"id": 1, "event": "result", "result": {"model": "brain@0.2.0", "classes": [...], "facts": {...}}}

Arrays travel as .npy files, (k, j, i), in a folder of the host's. A request ends with one event "result", "error" (with a sentence) or
"cancelled"; {"do": "cancel", "id": 1} ends it early. The first line says {"event": "ready"}. The process ends when its stdin closes, and so
never outlives its host; the engine of the model last used stays warm in between.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import IO, Any

from ..errors import InputError, UltraLightError, brief
from ..events import Epoch, Progress
from .tasks import Tasks

_LOG = logging.getLogger(__name__)

GRACE = 15.0
"""Seconds that a request has to end when the host has gone; a retraining ends its own process in that time."""

Answer = Callable[[dict[str, Any]], None]


class Server:
    """Serves one request after the other.

    Attributes:
        answer: takes each event.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._tasks = Tasks()
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._unwanted: set[int] = set()
        self._is_over = False

    def listen(self, lines: Iterable[bytes]) -> None:
        """Take requests until `lines` end; runs on a thread of its own, so that a cancel is heard during the work.

        A line that is no request is answered with an error that has no "id", and the next one is heard all the same.
        """
        try:
            for line in lines:
                try:
                    request = _request(line)
                except InputError as error:
                    self.answer({"id": None, **_error(error, str(error))})
                    continue
                if request["do"] == "cancel":
                    self._unwanted.add(request["id"])
                else:
                    self._waiting.put(request)
        finally:
            self._end()

    def _end(self) -> None:
        self._is_over = True
        self._waiting.put(None)
        # What does not come to its end in this time has hung. Nothing is lost: all that is kept is written whole or not at all.
        timer = threading.Timer(GRACE, os._exit, (1,))
        timer.daemon = True
        timer.start()

    def serve(self) -> None:
        """Work until the host has gone."""
        while (request := self._waiting.get()) is not None and not self._is_over:
            self.answer({"id": request["id"], **self._outcome(request)})

    def _outcome(self, request: dict[str, Any]) -> dict[str, Any]:
        """The last event of a request; the others are told on the way."""
        number = request["id"]
        said: Any = None
        try:
            with contextlib.closing(self._tasks.begin(request)) as work:
                while not (self._is_over or number in self._unwanted):
                    try:
                        event = next(work)
                    except StopIteration as end:
                        return {"event": "result", "result": end.value}
                    # A child process repeats its last progress while nothing new comes.
                    if event != said:
                        self._tell(number, event)
                    said = event if isinstance(event, Progress) else said
            return {"event": "cancelled"}
        except UltraLightError as error:
            return _error(error, str(error))
        except MemoryError as error:
            return _error(
                error, "expected an image that fits into memory, found a larger one; close other programs or choose a smaller region"
            )
        except OSError as error:
            reason = error.strerror or str(error)
            return _error(error, f"expected to read and write without an obstacle, found {reason}; free space on the disk and try again")
        except Exception as error:  # noqa: BLE001 - the border: the host learns the reason and goes on, its log has the traceback
            _LOG.exception("the request %s failed", request["do"])
            return _error(
                error,
                f"expected {request['do']} to come to its end, found a fault in UltraLight: {type(error).__name__}: {brief(error)}; "
                "please report it with the log",
            )

    def _tell(self, number: int, event: Progress | Epoch | dict[str, Any]) -> None:
        if isinstance(event, Progress):
            self.answer({"id": number, "event": "progress", **asdict(event)})
        elif isinstance(event, Epoch):
            self.answer({"id": number, "event": "epoch", **asdict(event)})
        else:
            self.answer({"id": number, **event})


def _request(line: bytes) -> dict[str, Any]:
    """The request on a line.

    Raises:
        InputError: if there is none.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a request as one JSON object a line, found another thing ({brief(error)}); nothing was done") from error
    if not isinstance(found, dict) or type(found.get("id")) is not int or not isinstance(found.get("do"), str):
        raise InputError(f'expected a request with a number as "id" and a task as "do", found {str(found)[:80]}; nothing was done')
    return found


def _error(error: Exception, sentence: str) -> dict[str, Any]:
    return {"event": "error", "sentence": sentence, "kind": type(error).__name__}


def main() -> int:
    """Serve the host at the other end of stdin and stdout; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    # The pipe to the host is for events alone: whatever a library prints goes where complaints go.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = Server(_writer(out))
    server.answer({"event": "ready", "process": os.getpid()})
    threading.Thread(target=server.listen, args=(sys.stdin.buffer,), daemon=True).start()
    server.serve()
    return 0


def _writer(out: IO[str]) -> Answer:
    one_at_a_time = threading.Lock()

    def write(event: dict[str, Any]) -> None:
        # A host that has gone reads no more; that its end of stdin is closed too ends this process.
        with contextlib.suppress(BrokenPipeError), one_at_a_time:
            out.write(json.dumps(event) + "\n")
            out.flush()

    return write
