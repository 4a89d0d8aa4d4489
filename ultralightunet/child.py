"""Runs one of UltraLight's commands in a process of its own and hands on what it tells: for hosts that must stay responsive.

    for event in run_child(["retrain", "my-store", "--model", "brain"]):
        ...

Whatever becomes of that process, killed, out of memory or crashed, the host goes on. Free of any toolkit, and of torch.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import IO, Any

from .errors import UltraLightError
from .events import Epoch, Progress

_LOG = logging.getLogger(__name__)

_HEARTBEAT = 0.2
"""Seconds after which the last event comes again, so that whoever runs the generator can close it."""

_GRACE = 10.0
"""Seconds that a process has to tidy up once it is asked to end."""


def run_child(
    arguments: Sequence[str], *, python: str | Path | None = None
) -> Generator[Progress | Epoch | dict[str, Any], None, dict[str, Any]]:
    """Run `python -m ultralightunet ARGUMENTS --json`.

    Args:
        arguments: of the command line, without `--json`.
        python: the interpreter, if not this process's own (which is no Python in some hosts).

    Yields:
        `Progress`, `Epoch`, or the facts of another event as a dictionary, as they come; the last `Progress` again and again while nothing
        comes, several times a second.

    Returns:
        The facts of the event "result". Closing the generator ends the process and those that it started.

    Raises:
        UltraLightError: with the command's own sentence if it failed, or one on how its process ended.
    """
    command = [str(python or sys.executable), "-m", "ultralightunet", *map(str, arguments), "--json"]
    process = start_process(command)
    assert process.stdout is not None
    assert process.stderr is not None
    lines: queue.Queue[str | None] = queue.Queue()
    complaints: deque[str] = deque(maxlen=50)
    readers = (
        threading.Thread(target=_pass_on, args=(process.stdout, lines.put), daemon=True),
        threading.Thread(target=_pass_on, args=(process.stderr, lambda line: complaints.append(line) if line else None), daemon=True),
    )
    for reader in readers:
        reader.start()
    last = Progress("Starting", 0, 1)
    result: dict[str, Any] | None = None
    try:
        yield last
        while (line := _next(lines)) is not None:
            event = _parsed(line) if line else last
            if isinstance(event, dict) and event.get("event") == "result":
                result = event
                continue
            if isinstance(event, Progress):
                last = event
            if event is not None:
                yield event
        code = process.wait()
        readers[1].join(_GRACE)
        if code or result is None:
            raise UltraLightError(_reason(arguments[0] if arguments else "", code, complaints))
        return result
    finally:
        end_process(process)


def start_process(command: Sequence[str], *, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """A process in a group of its own, which speaks UTF-8 through pipes.

    Args:
        command: what is run.
        stdin: `subprocess.PIPE` for one that is asked things.

    Raises:
        UltraLightError: if it cannot be started.
    """
    # A group of its own, so that it can be ended with all that it starts, and so that Ctrl+C in the host's terminal is the host's matter.
    group: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {"creationflags": 0x08000200}
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"},
            **group,
        )
    except OSError as error:
        raise UltraLightError(
            f"expected to start {command[0]}, found an obstacle: {error.strerror}; name the Python that UltraLight is installed in"
        ) from error


def _pass_on(stream: IO[str], take: Any) -> None:
    """Hand on each line, and None at the end."""
    with stream:
        for line in stream:
            take(line.rstrip("\n") or " ")
    take(None)


def _next(lines: queue.Queue[str | None]) -> str | None:
    """The next line, "" if none has come for a while, None at the end."""
    try:
        return lines.get(timeout=_HEARTBEAT)
    except queue.Empty:
        return ""


def _parsed(line: str) -> Progress | Epoch | dict[str, Any] | None:
    """The event on a line; None for a line that holds none, such as a word from a library."""
    try:
        facts = json.loads(line)
        kind = facts["event"]
        rest = {key: value for key, value in facts.items() if key != "event"}
        if kind == "progress":
            return Progress(**rest)
        return Epoch(**rest) if kind == "epoch" else dict(facts)
    except (LookupError, TypeError, ValueError):
        _LOG.debug("not an event: %s", line)
        return None


def _reason(command: str, code: int, complaints: Sequence[str]) -> str:
    said = next((line for line in reversed(complaints) if line.startswith("ultralight: ")), "")
    if said:
        return said.removeprefix("ultralight: ")
    last = next((line.strip() for line in reversed(complaints) if line.strip()), "")
    how = how_it_ended(code)
    advice = "close other programs, it may have run out of memory, and try again; nothing was changed"
    return f"expected `ultralight {command}` to finish, found that its process ended with {how}{f' ({last})' if last else ''}; {advice}"


def how_it_ended(code: int) -> str:
    """The name of the signal that ended a process, else its exit code, for a sentence."""
    return f"the signal {signal.Signals(-code).name}" if os.name == "posix" and code < 0 else f"the exit code {code}"


def end_process(process: subprocess.Popen[str]) -> None:
    """Ask the process to end, then insist, and see to it that none of those that it started is left."""
    if process.poll() is None:
        _signal_all(process, signal.SIGTERM)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            _LOG.warning("the process %d did not end when asked to; it is killed", process.pid)
    if os.name == "posix":
        _signal_all(process, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def _signal_all(process: subprocess.Popen[str], number: int) -> None:
    try:
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            # /T takes along what it started.
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], check=False, capture_output=True)
    except ProcessLookupError:
        # All of them have ended.
        return
