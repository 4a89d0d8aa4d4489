"""A user who points: clicks, strokes, boxes and outlines, first on an object, then where the answer is wrong.

Kinds of strokes as in ScribblePrompt (Wong et al. 2024, section 3.2): along the middle, along the border, and free lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import line
from skimage.morphology import skeletonize

Mask = NDArray[np.bool_]
Rng = np.random.Generator

SQUARE = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Prompts:
    """What the user has said so far, each (J, I) bool.

    Attributes:
        positive: belongs to the object.
        negative: does not.
        area: the object lies inside, filled; empty where nothing was said.
    """

    positive: Mask
    negative: Mask
    area: Mask

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Prompts:
        return cls(np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, bool))

    def adding(self, marks: Mask, *, positive: bool) -> Prompts:
        """With further marks; the later word counts where two contradict each other."""
        if positive:
            return Prompts(self.positive | marks, self.negative & ~marks, self.area)
        return Prompts(self.positive & ~marks, self.negative | marks, self.area)


def first(target: Mask, rng: Rng, *, several: bool) -> Prompts:
    """What a user says about `target` before having seen an answer.

    Args:
        target: the object, not empty.
        rng: random numbers.
        several: the target is of more parts than one, which the prompts must tell: one in each of at least two parts, or an area.
    """
    prompts = Prompts.none(target.shape)
    kind = rng.random()
    by_area = kind < (0.4 if several else 0.22)
    if by_area:
        area = box(target, rng) if rng.random() < 0.65 else outline(target, rng)
        prompts = Prompts(prompts.positive, prompts.negative, area)
        if rng.random() < 0.5:
            return prompts
    drawn = strokes if rng.random() < 0.5 else clicks
    parts = _parts(target, rng)[: int(rng.integers(2, 5))] if several else [target]
    for part in parts:
        prompts = prompts.adding(drawn(part, rng, 1 if several else int(rng.choice((1, 2, 3), p=(0.65, 0.2, 0.15)))), positive=True)
    if rng.random() < (0.55 if drawn is strokes else 0.35):
        # Near the object, or anywhere else: a hand that scribbles over a picture also tells what is far away.
        around = ~ndimage.binary_dilation(target, SQUARE, 1)
        if rng.random() < 0.6:
            around &= ndimage.binary_dilation(target, SQUARE, int(rng.integers(4, 24)))
        if around.any():
            prompts = prompts.adding(drawn(around, rng, int(rng.integers(1, 3))), positive=False)
    return prompts


def correcting(prompts: Prompts, target: Mask, answer: Mask, rng: Rng) -> Prompts:
    """`prompts` with one more word on an error of `answer`: mostly the largest, sometimes several, sometimes any."""
    wrong = target != answer
    parts = _parts(wrong, rng, by_size=True)
    if not parts or (parts[0].sum() < 4 and rng.random() < 0.8):
        return prompts
    first_part = 0 if rng.random() < 0.75 else int(rng.integers(0, len(parts)))
    chosen = [first_part] if rng.random() < 0.7 else sorted({first_part, *range(min(3, len(parts)))})
    drawn = strokes if rng.random() < 0.45 else clicks
    for number in chosen:
        part = parts[number]
        prompts = prompts.adding(drawn(part, rng, 1), positive=bool(target[part].mean() > 0.5))
    return prompts


def clicks(region: Mask, rng: Rng, count: int) -> Mask:
    """Marks of `count` clicks inside `region`: its middle, or anywhere."""
    marks = np.zeros_like(region)
    inside = ndimage.binary_erosion(region, SQUARE)
    inside = inside if inside.any() else region
    for _ in range(count):
        if rng.random() < 0.45:
            depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
            places = np.argwhere(depth >= rng.uniform(0.8, 1.0) * depth.max())
        else:
            places = np.argwhere(inside)
        j, i = places[int(rng.integers(len(places)))]
        marks[j, i] = True
    return thick(marks, rng, least=1)


def strokes(region: Mask, rng: Rng, count: int) -> Mask:
    """Marks of `count` strokes inside `region`."""
    marks = np.zeros_like(region)
    for _ in range(count):
        kind = rng.random()
        drawn = _middle(region, rng) if kind < 0.35 else _along_border(region, rng) if kind < 0.55 else _free(region, rng)
        drawn &= region
        marks |= drawn if drawn.any() else clicks(region, rng, 1)
    # A hand is not exact: now and then a stroke leaves the region by a little.
    return thick(marks, rng, least=0) & (region if rng.random() < 0.85 else ndimage.binary_dilation(region, SQUARE))


def thick(marks: Mask, rng: Rng, *, least: int) -> Mask:
    """`marks` as wide as pens are."""
    wider = int(rng.choice((least, 1, 2), p=(0.3, 0.5, 0.2)))
    return ndimage.binary_dilation(marks, SQUARE, wider) if wider else marks


def box(target: Mask, rng: Rng) -> Mask:
    """A box around `target`, filled, a little too large or too small."""
    (j0, j1), (i0, i1) = _extent(target)
    height, width = j1 - j0, i1 - i0
    slack = rng.normal(0.03, 0.06, 4) * np.array((height, height, width, width)) + rng.integers(-1, 3, 4)
    area = np.zeros_like(target)
    rows = slice(max(0, round(j0 - slack[0])), max(1, round(j1 + slack[1])))
    columns = slice(max(0, round(i0 - slack[2])), max(1, round(i1 + slack[3])))
    area[rows, columns] = True
    return area


def outline(target: Mask, rng: Rng) -> Mask:
    """A loose loop around `target`, filled."""
    closed = ndimage.gaussian_filter(np.pad(target, 8, mode="edge").astype(np.float32), rng.uniform(1, 4))[8:-8, 8:-8]
    return (closed > rng.uniform(0.08, 0.4)) | ndimage.binary_dilation(target, SQUARE, int(rng.integers(0, 4)))


def _parts(mask: Mask, rng: Rng, *, by_size: bool = False) -> list[Mask]:
    """The connected parts of `mask`, the largest first or in any order; at most twelve."""
    labels, count = ndimage.label(mask)
    if not count:
        return []
    sizes = np.bincount(labels.ravel())[1:]
    order = np.argsort(-sizes, kind="stable") if by_size else rng.permutation(count)
    return [labels == number + 1 for number in order[:12]]


def _extent(mask: Mask) -> list[tuple[int, int]]:
    return [(int(found[0]), int(found[-1]) + 1) for found in (np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0)))]


def _middle(region: Mask, rng: Rng) -> Mask:
    """A piece of the centre line."""
    (j0, j1), (i0, i1) = _extent(region)
    cut = region[j0:j1, i0:i1]
    drawn = np.zeros_like(region)
    drawn[j0:j1, i0:i1] = _piece(skeletonize(np.pad(cut, 1))[1:-1, 1:-1], rng)
    return drawn


def _along_border(region: Mask, rng: Rng) -> Mask:
    """A piece of the line that keeps its distance from the border."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    away = max(1.0, rng.uniform(0.15, 0.8) * depth.max())
    return _piece((depth >= away - 0.5) & (depth < away + 0.75), rng)


def _free(region: Mask, rng: Rng) -> Mask:
    """A bent line between places in the region."""
    places = np.argwhere(region)
    corners = places[rng.integers(0, len(places), int(rng.integers(2, 4)))]
    drawn = np.zeros_like(region)
    for (j0, i0), (j1, i1) in pairwise(corners):
        drawn[line(j0, i0, j1, i1)] = True
    return drawn


def _piece(drawn: Mask, rng: Rng) -> Mask:
    """What of a line lies within some distance of one of its places."""
    places = np.argwhere(drawn)
    if not len(places):
        return drawn
    middle = places[int(rng.integers(len(places)))]
    reach = rng.uniform(0.1, 1.0) * max(8.0, float(np.ptp(places, axis=0).max()))
    kept = places[((places - middle) ** 2).sum(1) <= reach**2]
    piece = np.zeros_like(drawn)
    piece[kept[:, 0], kept[:, 1]] = True
    return piece
