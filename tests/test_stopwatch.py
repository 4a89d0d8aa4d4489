"""What the stopwatch counts and what it does not."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from ultralightunet.stopwatch import Stopwatch


class Clock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def steps(clock: Clock) -> Generator[int, None, None]:
    for number in range(3):
        clock.now += 2
        yield number


def fails_after(clock: Clock, seconds: float) -> None:
    clock.now += seconds
    raise ValueError("broken")


def test_only_the_time_within_the_steps_counts_not_that_between_them() -> None:
    clock = Clock()
    watch = Stopwatch(clock=clock)
    found = []
    for step in watch.each("steps", steps(clock)):
        found.append(step)
        clock.now += 100
    assert found == [0, 1, 2]
    assert watch.seconds == {"steps": 6}


def test_the_same_name_adds_up_also_after_an_error() -> None:
    clock = Clock()
    watch = Stopwatch(clock=clock)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), watch("work"):
            fails_after(clock, 3)
    with watch("other"):
        pass
    assert list(watch.seconds.items()) == [("work", 6), ("other", 0)]
