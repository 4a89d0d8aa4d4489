"""What the stopwatch counts and what it does not."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from ultralightunet.stopwatch import Stopwatch


def steps() -> Generator[int, None, None]:
    for number in range(3):
        time.sleep(0.02)
        yield number


def fails_after(seconds: float) -> None:
    time.sleep(seconds)
    raise ValueError("broken")


def test_only_the_time_within_the_steps_counts_not_that_between_them() -> None:
    watch = Stopwatch()
    found = []
    for step in watch.each("steps", steps()):
        found.append(step)
        time.sleep(0.1)
    assert found == [0, 1, 2]
    assert 0.06 <= watch.seconds["steps"] < 0.25


def test_the_same_name_adds_up_also_after_an_error() -> None:
    watch = Stopwatch()
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), watch("work"):
            fails_after(0.02)
    with watch("other"):
        pass
    assert list(watch.seconds) == ["work", "other"]
    assert watch.seconds["work"] >= 0.04
