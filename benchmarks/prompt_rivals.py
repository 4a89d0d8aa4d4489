"""Other ways from clicks to a mask, for `prompts.py`: each goes by all clicks so far; the frame of the image is background."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from skimage.graph import MCP_Geometric
from skimage.segmentation import random_walker

from ultralightunet.metrics import dice
from ultralightunet.volume import Volume

Mask = np.ndarray
Answer = Callable[[tuple[int, ...], bool], Mask]
"""From a click, and whether it is on the object, to the new mask."""

OBJECT, BACKGROUND = 1, 2
_RADII = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90)


def walker(image: Volume, target: Mask) -> Answer:
    """Random walker (Grady 2006), as scikit-image has it."""
    grey = _grey(image)
    return _seeded(grey.shape, lambda seeds: np.asarray(random_walker(grey, seeds, beta=130, mode="cg_j") == OBJECT))


def geodesic(image: Volume, target: Mask) -> Answer:
    """What is nearer to a click on the object, along paths that pay for steps of grey (Criminisi et al. 2008), by scikit-image's paths."""
    grey = _grey(image)
    cost = 0.01 + np.hypot(*np.gradient(grey))

    def answer(seeds: Mask) -> Mask:
        inside, outside = (MCP_Geometric(cost).find_costs(np.argwhere(seeds == side))[0] for side in (OBJECT, BACKGROUND))
        return np.asarray(inside < outside)

    return _seeded(grey.shape, answer)


def grow_cut(image: Volume, target: Mask) -> Answer:
    """Fast GrowCut (Zhu et al. 2014), as ITK has it; for volumes only, so it gets the same slice three times."""
    import itk

    values = itk.image_from_array(np.repeat((255 * _grey(image)).astype(np.float32)[None], 3, 0))

    def answer(seeds: Mask) -> Mask:
        given = itk.image_from_array(np.repeat(seeds.astype(np.uint8)[None], 3, 0))
        return np.asarray(itk.array_from_image(itk.fast_grow_cut(values, seed_image=given))[1] == OBJECT)

    return _seeded(values.shape[1:], answer)


def brush(image: Volume, target: Mask) -> Answer:
    """Paints, or wipes away, the disc of the radius that gives the best Dice: what a hand without any help can reach at best."""
    mask = np.zeros(target.shape, bool)
    grid = np.indices(target.shape)

    def answer(place: tuple[int, ...], positive: bool) -> Mask:
        nonlocal mask
        distance = np.sqrt(sum((axis - p) ** 2 for axis, p in zip(grid, place, strict=True)))
        tries = [mask | (distance <= radius) if positive else mask & (distance > radius) for radius in _RADII]
        mask = max(tries, key=lambda tried: dice(tried, target))
        return mask

    return answer


RIVALS: dict[str, Callable[[Volume, Mask], Answer]] = {"random walker": walker, "geodesic": geodesic, "brush": brush}
if importlib.util.find_spec("itk"):
    RIVALS["GrowCut"] = grow_cut


def _seeded(shape: tuple[int, ...], answer: Callable[[Mask], Mask]) -> Answer:
    seeds = np.zeros(shape, np.int32)
    seeds[[0, -1]] = seeds[:, [0, -1]] = BACKGROUND

    def click(place: tuple[int, ...], positive: bool) -> Mask:
        seeds[tuple(slice(max(0, p - 1), p + 2) for p in place)] = OBJECT if positive else BACKGROUND
        return answer(seeds)

    return click


def _grey(image: Volume) -> np.ndarray:
    """In 0..1, from the first to the last percentile."""
    grey = image.array if image.channels == 1 else image.array @ np.array([0.299, 0.587, 0.114])
    low, high = np.percentile(grey, (1, 99))
    return np.asarray(np.clip((grey - low) / max(1e-6, high - low), 0, 1), np.float64)
