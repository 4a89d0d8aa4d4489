"""One slice, what was said about an object in it, and the network's answer, at a zoom that fits the object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ..engines import Engine
from ..errors import InputError
from .crop import CHANNELS, Crop
from .marks import Marks

Mask = NDArray[np.bool_]
Array = NDArray[Any]

SIZE = 128
"""Pixels of the network's square grid, as in training."""

_SMALLEST = 24
"""Pixels of the slice along the smallest square that is looked at."""
_FAIR_SHARE = 0.06
"""Of a square that an object is to fill before it is looked at more closely."""
_BEYOND = 0.02
"""Of a square's edges, that an object may cover which is seen whole."""
_ZOOM = 1.6
"""From one square to the next smaller one."""
_USUAL, _UNUSUAL = 2.5, 0.1
"""Side of the square that usually shows an object best, in sides of the one around strokes in it; and how much sureness another one
costs, for each e-fold."""
_MARGIN = 1.6
"""Side of the square around an object, in its own extent."""
_MOVED = 0.1
"""Of a square's side, by which another one's edges may differ and still show the same."""
_PIECES = (2, 3)
"""Pieces along each axis in which an object is looked for around strokes."""
_TELLING = 15
"""Pixels that marks span, from which on they tell the size of an object."""
_WIDE = 0.45
"""Share of the slice's side that strokes must span for that."""
_OVERLAP = 1.25
"""Side of a piece, in the share of the whole that is its own."""
_PIECED = 0.05
"""Sureness that pieces cost: each sees a part of the object only."""
_UNSEEN = -10.0
"""Logit where no piece was looked at."""
_THIN = 6
"""Pixels of the network's grid that an object is thick, to be corrected with a look at all of it."""
_PASSES = 3
"""Looks at most, once the object has been found: each at a zoom that fits the answer before."""


@dataclass(frozen=True)
class Answer:
    """Logits of one window of a slice; the object is where they are above 0.

    Attributes:
        window: where it is in the slice.
        logits: (J, I) of the window.
        is_blind: there was nothing to be seen, all grey values are the same, so no object is found.
    """

    window: tuple[slice, slice]
    logits: NDArray[np.float32]
    is_blind: bool = False

    def mask(self, shape: tuple[int, ...]) -> Mask:
        """The object in the whole slice (J, I)."""
        out = np.zeros(shape, np.bool_)
        out[self.window] = self.logits > 0
        return out


@dataclass(frozen=True)
class Looker:
    """Looks at slices with one network.

    Attributes:
        engine: of the 2D prompt network.
        spacing: mm of a pixel along (j, i); 1 where it is not known.
    """

    engine: Engine
    spacing: tuple[float, float]

    def look(self, plane: Array, marks: Marks, previous: Mask, crop: Crop) -> Answer:
        """One pass: a slice (J, I) or (J, I, 3), with the mask so far (J, I)."""
        image = crop.image(plane)
        if image is None:
            return Answer(crop.window, np.full([r.stop - r.start for r in crop.window], _UNSEEN, np.float32), is_blind=True)
        batch = np.zeros((1, CHANNELS, crop.size, crop.size), np.float32)
        batch[0, :3] = image
        batch[0, 3] = crop.marks(marks.positive)
        batch[0, 4] = crop.marks(marks.negative)
        batch[0, 5] = crop.mask(marks.area)
        batch[0, 6] = crop.mask(previous)
        return Answer(crop.window, crop.back(self.engine(batch)[0, 0]))

    def find(self, plane: Array, marks: Marks) -> Mask:
        """An object (J, I) of which only prompts are known.

        An area says how large the object is. Otherwise it is looked for in the whole slice and in squares that shrink around the prompts,
        and that answer counts which is surest of its outline, at a size that strokes speak for.
        Around wide strokes it is also looked for piece by piece: what is thin cannot be seen in a square that shows all of it.

        Raises:
            InputError: where all grey values are the same, or are no numbers.
        """
        shape = (plane.shape[0], plane.shape[1])
        nothing = np.zeros(shape, np.bool_)
        if marks.area.any():
            centre, extent = self._extent(marks.area)
            crop = Crop.around(centre, _MARGIN * extent, shape=shape, spacing=self.spacing, size=SIZE)
            return self._refined(plane, marks, self.look(plane, marks, nothing, crop))
        centre, extent = self._extent(marks.positive)
        largest = max(n * s for n, s in zip(shape, self.spacing, strict=True))
        smallest = min(largest, max(_MARGIN * extent, _SMALLEST * min(self.spacing)))
        # In pixels: a click is one of them, however long that is in mm.
        told = max(along.stop - along.start for along in _span(marks.positive)) >= _TELLING
        best, surest = None, -np.inf
        side = largest
        while True:
            crop = Crop.around(centre, side, shape=shape, spacing=self.spacing, size=SIZE)
            answer = self.look(plane, marks, nothing, crop)
            sure = _sureness(answer, crop, shape) - told * _UNUSUAL * abs(math.log(side / (_USUAL * smallest)))
            if best is None or sure > surest:
                best, surest = answer, sure
            if side <= smallest:
                break
            side = max(smallest, side / _ZOOM)
        if told and smallest >= _WIDE * largest:
            pieced = [
                self.look_at_pieces(plane, marks, Crop.around(centre, smallest, shape=shape, spacing=self.spacing, size=SIZE), n)
                for n in _PIECES
            ]
            closer = max(pieced, key=_stability)
            if (closer.logits > 0).any() and _stability(closer) - _PIECED > surest:
                return closer.mask(shape)
        return self._refined(plane, marks, best)

    def correct(self, plane: Array, marks: Marks, before: Mask, new: Marks) -> Mask:
        """What the mask (J, I) becomes, after `new` was said about it: with a look at all of it, or near what was said where it is thin."""
        shape = (plane.shape[0], plane.shape[1])
        centre, extent = self._extent(before | marks.inside)
        side = _MARGIN * extent
        thickness = 4 * float(scipy.ndimage.distance_transform_edt(np.pad(before, 1), self.spacing)[1:-1, 1:-1][before].mean())
        squares = [(centre, side)]
        if thickness * SIZE / _THIN < side:
            near, extent = self._extent(new.any_place)
            squares.insert(0, (near, max(thickness * SIZE / _THIN, _MARGIN * extent)))
        mask = before.copy()
        for middle, side in squares:
            crop = Crop.around(middle, max(side, _SMALLEST * min(self.spacing)), shape=shape, spacing=self.spacing, size=SIZE)
            answer = self.look(plane, marks, before, crop)
            if not answer.is_blind:
                mask[answer.window] = answer.logits > 0
                break
        return mask

    def refine(self, plane: Array, marks: Marks | None, previous: Mask, *, passes: int = _PASSES) -> Answer:
        """Look again, at a zoom that fits the mask so far and what was said."""
        shape = (plane.shape[0], plane.shape[1])
        marks = marks or Marks.none(shape)
        last: Crop | None = None
        for _ in range(passes):
            # Not what was said to lie outside: a stroke far away from the object says nothing about its size.
            known = previous | marks.inside
            known = known if known.any() else marks.any_place
            centre, extent = self._extent(known)
            side = max(_MARGIN * extent, _SMALLEST * min(self.spacing))
            crop = Crop.around(centre, side, shape=shape, spacing=self.spacing, size=SIZE)
            if last is not None and _alike(crop, last):
                break
            answer = self.look(plane, marks, previous, crop)
            previous, last = answer.mask(shape), crop
            if not previous.any():
                break
        return answer

    def _refined(self, plane: Array, marks: Marks, answer: Answer) -> Mask:
        if answer.is_blind:
            raise InputError("expected an object to be seen where you point, but all grey values are the same there; choose another place")
        found = answer.mask((plane.shape[0], plane.shape[1]))
        return self.refine(plane, marks, found).mask(found.shape) if found.any() else found

    def look_at_pieces(self, plane: Array, marks: Marks, square: Crop, count: int) -> Answer:
        """One answer from `count` x `count` overlapping squares in a larger one, each looked at without the others."""
        shape = (plane.shape[0], plane.shape[1])
        nothing = np.zeros(shape, np.bool_)
        ranges = (square.rows, square.columns)
        sides = [(r.stop - r.start) * s for r, s in zip(ranges, self.spacing, strict=True)]
        side = max(max(sides) / count * _OVERLAP, _SMALLEST * min(self.spacing))
        total = np.zeros([r.stop - r.start for r in ranges], np.float32)
        times = np.zeros_like(total)
        middles = [_middles(r, side / s, count) for r, s in zip(ranges, self.spacing, strict=True)]
        for j in middles[0]:
            for i in middles[1]:
                crop = Crop.around((j, i), side, shape=shape, spacing=self.spacing, size=SIZE)
                if not marks.inside[crop.window].any():
                    continue
                answer = self.look(plane, marks, nothing, crop)
                if answer.is_blind:
                    continue
                rows, columns = (slice(max(w.start, r.start), min(w.stop, r.stop)) for w, r in zip(crop.window, ranges, strict=True))
                here = (
                    slice(rows.start - square.rows.start, rows.stop - square.rows.start),
                    slice(columns.start - square.columns.start, columns.stop - square.columns.start),
                )
                total[here] += answer.logits[
                    rows.start - crop.rows.start : rows.stop - crop.rows.start,
                    columns.start - crop.columns.start : columns.stop - crop.columns.start,
                ]
                times[here] += 1
        return Answer(square.window, np.where(times > 0, total / np.maximum(times, 1), _UNSEEN))

    def _extent(self, mask: Mask) -> tuple[tuple[float, float], float]:
        """The middle of a mask in pixels, and the longer side of the box around it in mm."""
        rows, columns = _span(mask)
        centre = ((rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2)
        return centre, max((along.stop - along.start) * step for along, step in zip((rows, columns), self.spacing, strict=True))


def _span(mask: Mask) -> tuple[slice, slice]:
    """The rows and columns that a mask (J, I) lies in."""
    rows, columns = (np.flatnonzero(mask.any(1 - axis)) for axis in (0, 1))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _sureness(answer: Answer, crop: Crop, shape: tuple[int, int]) -> float:
    """The stability of an answer; far less where the object is too small in the square to be seen well, or goes on beyond it."""
    found = answer.logits > 0
    if not found.any():
        return -10.0
    sure = _stability(answer)
    edges = (
        (crop.rows.start > 0, found[0]),
        (crop.rows.stop < shape[0], found[-1]),
        (crop.columns.start > 0, found[:, 0]),
        (crop.columns.stop < shape[1], found[:, -1]),
    )
    beyond = [edge.mean() for goes_on, edge in edges if goes_on]
    is_whole = not beyond or float(np.mean(beyond)) <= _BEYOND
    return sure if is_whole and found.mean() >= _FAIR_SHARE else sure - 2


def _stability(answer: Answer) -> float:
    """How little an outline depends on where exactly it is drawn, from 0 to 1 (Kirillov et al. 2023, section 5)."""
    return float((answer.logits > 1).sum() / max(1, (answer.logits > -1).sum()))


def _middles(along: slice, side: float, count: int) -> list[float]:
    """Of `count` pieces of a side in pixels, evenly spread over a range; a pixel's own middle is a whole number."""
    half = min(side, along.stop - along.start) / 2
    return [float(m) - 0.5 for m in np.linspace(along.start + half, along.stop - half, count)]


def _alike(one: Crop, other: Crop) -> bool:
    """Whether two crops show nearly the same."""
    return all(
        max(abs(a.start - b.start), abs(a.stop - b.stop)) <= _MOVED * (a.stop - a.start)
        for a, b in ((one.rows, other.rows), (one.columns, other.columns))
    )
