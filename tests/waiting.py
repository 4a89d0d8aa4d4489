"""Waiting for what must come, and holding up the work of another thread, so that no test has to guess how long anything takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

PATIENCE = 300
"""Seconds that a test waits for what must come; they only matter where it does not."""


def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.01)


class Gate:
    """Stands in the way of a function until the test opens it.

    Attributes:
        passed: how many calls have gone through.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0
        self._monkeypatch = monkeypatch
        self._waiting = threading.Event()
        self._free = threading.Semaphore(0)
        self._is_open = False

    def before(self, owner: Any, name: str) -> None:
        """Stand before `owner.name`, which does its work as always once it is let through."""
        function: Callable[..., Any] = getattr(owner, name)

        @wraps(function)
        def held(*arguments: Any, **options: Any) -> Any:
            assert threading.current_thread() is not threading.main_thread(), f"{name} is called where it holds up the viewer"
            if not self._is_open:
                self._waiting.set()
                assert self._free.acquire(timeout=PATIENCE), "nobody opened the gate"
            if self._is_open:
                # For the next one that waits.
                self._free.release()
            self.passed += 1
            return function(*arguments, **options)

        self._monkeypatch.setattr(owner, name, held)

    @property
    def is_reached(self) -> bool:
        """Whether somebody has come to the gate."""
        return self._waiting.is_set()

    def let_one_pass(self) -> None:
        """One call goes through, the next one waits."""
        self._free.release()

    def open(self) -> None:
        """Whoever waits goes through, and all that come later."""
        self._is_open = True
        self._free.release()
