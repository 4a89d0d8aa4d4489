"""From slices in which an object is known to those between and beyond them, each slice looked at with its neighbour's mask as a guess."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping

import numpy as np
from numpy.typing import NDArray

from ..events import Progress
from .looking import Answer
from .merging import overlapping

Mask = NDArray[np.bool_]
Guess = Callable[[int, Mask], Answer]
"""What the network finds in a slice, by its number, from a guess at the mask in it."""

_ABSENT = -2.0
"""Logit of a pixel of which a side knows nothing: the object has ended there, or lies outside what was looked at."""


def follow(
    known: Mapping[int, Mask], bounds: range, guess: Guess, *, starts: Collection[int], between_only: bool = False
) -> Generator[Progress, None, dict[int, Mask]]:
    """Masks of the slices around `starts`, as far as the next known slice or until the object ends.

    Between two known slices the object is followed from both, and the nearer one counts for more.

    Args:
        known: masks (J, I) by slice, never changed.
        bounds: the slices that the object may be in.
        guess: see `Guess`.
        starts: known slices from which to go, both ways.
        between_only: whether nothing is looked for beyond the first and the last known slice.

    Returns:
        Masks of the slices between `starts` and the next known ones or the image's ends; empty where the object has ended.
    """
    shape = next(iter(known.values())).shape
    gaps = sorted({gap for start in starts for gap in _gaps_at(start, sorted(known), bounds)})
    if between_only:
        gaps = [(first, last) for first, last in gaps if first in known and last in known]
    found: dict[int, Mask] = {}
    done, total = 0, sum((last - first - 1) * ((first in known) + (last in known)) for first, last in gaps)
    for first, last in gaps:
        sides: list[dict[int, Answer]] = []
        for start, step, stop in ((first, 1, last), (last, -1, first)):
            answers: dict[int, Answer] = {}
            mask = known.get(start, np.zeros(shape, np.bool_))
            for number in range(start + step, stop, step):
                if not mask.any():
                    break
                yield Progress("Following", done, total)
                done += 1
                answer = guess(number, mask)
                # Other objects of the same look are not followed.
                mask = overlapping(answer.mask(shape), mask)
                kept = mask[answer.window] | (answer.logits <= 0)
                answers[number] = Answer(answer.window, np.where(kept, answer.logits, np.float32(_ABSENT)))
            sides.append(answers)
        for number in range(first + 1, last):
            weights = [last - number if first in known else 0, number - first if last in known else 0]
            joint = sum(w * _plane(side.get(number), shape) for w, side in zip(weights, sides, strict=True) if w)
            found[number] = np.asarray(joint > 0)
    yield Progress("Following", total, total)
    return found


def _gaps_at(start: int, known: list[int], bounds: range) -> list[tuple[int, int]]:
    """The open intervals of unknown slices on both sides of a known one, as far as `bounds`."""
    place = known.index(start)
    before = known[place - 1] if place else bounds.start - 1
    after = known[place + 1] if place + 1 < len(known) else bounds.stop
    return [(first, last) for first, last in ((before, start), (start, after)) if last - first > 1]


def _plane(answer: Answer | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    plane = np.full(shape, _ABSENT, np.float32)
    if answer is not None:
        plane[answer.window] = answer.logits
    return plane
