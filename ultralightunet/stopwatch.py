"""Where the time of a run went."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Adds up seconds by the name of what took them.

    Attributes:
        seconds: in the order in which the names first came up.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what is done in a `with`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._add(name, began)

    def each(self, name: str, steps: Generator[T, None, None]) -> Generator[T, None, None]:
        """The same steps; only the time within them counts, not what is done between them."""
        while True:
            began = time.perf_counter()
            try:
                step = next(steps)
            except StopIteration:
                return
            finally:
                self._add(name, began)
            yield step

    def _add(self, name: str, began: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
