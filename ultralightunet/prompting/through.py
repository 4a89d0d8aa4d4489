"""From slices in which an object is known to those between and beyond them, each slice looked at with its neighbour's mask as a guess."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..events import Progress
from ..inference.outlines import between
from .looking import Answer
from .merging import overlapping

Mask = NDArray[np.bool_]
Guess = Callable[[int, Mask], Answer]
"""What the network finds in a slice, by its number, from a guess at the mask in it."""


def follow(
    known: Mapping[int, Mask],
    bounds: range,
    guess: Guess,
    *,
    starts: Collection[int],
    spacing: Sequence[float],
    between_only: bool = False,
) -> Generator[Progress, None, dict[int, Mask]]:
    """Masks of the slices around `starts`, as far as the next known slice or until the object ends.

    Between two slices that have some of the object the network is shown the shape between their outlines; beyond, the mask of the slice
    before.

    Args:
        known: masks (J, I) by slice, never changed.
        bounds: the slices that the object may be in.
        guess: see `Guess`.
        starts: known slices from which to go, both ways.
        spacing: mm of a pixel along (j, i).
        between_only: whether nothing is looked for beyond the first and the last known slice.

    Returns:
        Masks of the slices between `starts` and the next known ones or the image's ends; empty where the object has ended.
    """
    gaps = sorted({gap for start in starts for gap in _gaps_at(start, sorted(known), bounds)})
    if between_only:
        gaps = [(first, last) for first, last in gaps if first in known and last in known]
    found = {number: np.zeros_like(next(iter(known.values()))) for first, last in gaps for number in range(first + 1, last)}
    done, total = 0, len(found)
    for first, last in gaps:
        ends = [number for number in (first, last) if number in known and known[number].any()]
        shapes: Iterable[tuple[int, Mask | None]] = ()
        if len(ends) == 2:
            shapes = ((first + n, depth > 0) for n, depth in between(known[first], known[last], last - first, spacing))
        elif ends:
            away = range(first + 1, last) if ends == [first] else range(last - 1, first, -1)
            shapes = ((number, None) for number in away)
        mask = known[ends[0]] if ends else None
        for number, shape in shapes:
            yield Progress("Following", done, total)
            done += 1
            guessed = mask if shape is None else shape
            if guessed is None or not guessed.any():
                break
            # Other objects of the same look are not followed.
            mask = overlapping(guess(number, guessed).mask(guessed.shape), guessed)
            found[number] = mask
    yield Progress("Following", total, total)
    return found


def _gaps_at(start: int, known: list[int], bounds: range) -> list[tuple[int, int]]:
    """The open intervals of unknown slices on both sides of a known one, as far as `bounds`."""
    place = known.index(start)
    before = known[place - 1] if place else bounds.start - 1
    after = known[place + 1] if place + 1 < len(known) else bounds.stop
    return [(first, last) for first, last in ((before, start), (start, after)) if last - first > 1]
