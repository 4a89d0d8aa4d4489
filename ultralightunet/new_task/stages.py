"""How the time of a training is spent: each stretch twice as long as the last, coarse grids first, as fine as a step's cost allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_SECONDS = 24.0
"""Of the first stretch, in which the starting weights are chosen: what it ends in can be used within half a minute."""

_FIRST_SHARE = 0.2
"""Of a training that is so short that this is less."""

_SHORTEST = 36.0
"""Seconds of a stretch after the first one; where less is left, one takes it all."""

_ENOUGH = 150
"""Steps that the last stretch needs on its grid."""


@dataclass(frozen=True)
class Stage:
    """One stretch of a training, in which the learning rate rises and falls once, so that it ends in weights that can be used.

    Attributes:
        grade: number of the grid, 0 the coarsest.
        seconds: how long.
        is_last: whether the training ends with it.
    """

    grade: int
    seconds: float
    is_last: bool


def first_seconds(seconds: float) -> float:
    """Of a training of so many seconds, those of its first stretch.

    Example:
        >>> from ultralightunet.new_task.stages import first_seconds
        >>> first_seconds(150), first_seconds(50)
        (24.0, 10.0)
    """
    return min(FIRST_SECONDS, _FIRST_SHARE * seconds)


def later_stages(step_seconds: Sequence[float], seconds: float) -> tuple[Stage, ...]:
    """The stretches after the first one.

    Args:
        step_seconds: what a step costs on each grid, the coarsest first.
        seconds: that are left.

    Example:
        >>> from ultralightunet.new_task.stages import later_stages
        >>> [(stage.grade, stage.seconds) for stage in later_stages((0.14, 0.2, 0.4, 0.8), 126)]
        [(1, 42.0), (2, 84.0)]
    """
    count = max(1, int(math.log2(seconds / _SHORTEST + 1)))
    lengths = [seconds * 2**n / (2**count - 1) for n in range(count)]
    finest = max(grade for grade, cost in enumerate(step_seconds) if grade == 0 or lengths[-1] / cost >= _ENOUGH)
    return tuple(
        Stage(math.ceil(finest * (number + 1) / count), length, is_last=number == count - 1) for number, length in enumerate(lengths)
    )
