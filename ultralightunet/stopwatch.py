"""Where the time of a run went."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Adds up seconds by the name of what took them.

    Args:
        clock: tells the seconds.

    Attributes:
        seconds: in the order in which the names first came up.
    """

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what is done in a `with`."""
        began = self._clock()
        try:
            yield
        finally:
            self._add(name, began)

    def each(self, name: str, steps: Generator[T, None, None]) -> Generator[T, None, None]:
        """The same steps; only the time within them counts, not what is done between them."""
        while True:
            began = self._clock()
            try:
                step = next(steps)
            except StopIteration:
                return
            finally:
                self._add(name, began)
            yield step

    def _add(self, name: str, began: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - began
