"""How a training's time is spent follows from what a step costs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ultralightunet.new_task.gains import Gains
from ultralightunet.new_task.stages import first_seconds, later_stages

COSTS = (0.1, 0.2, 0.4, 0.8, 1.6)


@pytest.mark.parametrize("seconds", [5, 20, 126, 600, 86_400])
def test_the_stretches_take_all_of_the_time_and_each_twice_that_of_the_last(seconds: float) -> None:
    stages = later_stages(COSTS, seconds)
    assert sum(stage.seconds for stage in stages) == pytest.approx(seconds)
    assert all(after.seconds == pytest.approx(2 * before.seconds) for before, after in pairwise(stages))
    assert [stage.is_last for stage in stages] == [*[False] * (len(stages) - 1), True]


@pytest.mark.parametrize(
    ("seconds", "finest"),
    [(10, 0), (126, 2), (12_000, 4)],
)
def test_grids_get_finer_as_far_as_the_last_stretch_has_steps_enough(seconds: float, finest: int) -> None:
    grades = [stage.grade for stage in later_stages(COSTS, seconds)]
    assert grades == sorted(grades)
    assert grades[-1] == finest


def test_a_slower_computer_stays_on_a_coarser_grid() -> None:
    assert later_stages([4 * cost for cost in COSTS], 126)[-1].grade < later_stages(COSTS, 126)[-1].grade


def test_images_that_are_small_have_one_grid_only() -> None:
    assert {stage.grade for stage in later_stages(COSTS[:1], 1000)} == {0}


def test_the_first_stretch_of_a_short_training_leaves_time_for_others() -> None:
    assert first_seconds(20) == 4
    assert first_seconds(10_000) == first_seconds(1_000)


def test_a_loss_that_falls_is_a_gain_however_slowly_as_long_as_it_is_more_than_noise() -> None:
    gains = Gains()
    for step in range(10, 4000, 10):
        gains.add(step, 0.999 ** (step / 10))
    assert not gains.are_over


def test_a_loss_that_only_swings_is_none() -> None:
    gains = Gains()
    for step in range(10, 4000, 10):
        gains.add(step, 0.5 + 0.05 * (-1) ** (step // 10))
    assert gains.are_over
    assert gains.last == pytest.approx(0.5, abs=0.05)
