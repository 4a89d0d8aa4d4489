"""Images as another scanner might have made them: changes that cost a model its Dice, one after the other, for `retraining.py`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.ndimage

from ultralightunet.volume import Volume


def with_bias(unit: np.ndarray, dims: int, number: int) -> np.ndarray:
    """A smooth change of light, up to a factor of about four from one end to the other."""
    rng = np.random.default_rng(number)
    coarse = rng.normal(0, 0.5, (3,) * dims)
    factors = np.array(unit.shape[:dims]) / 3
    field = np.exp(scipy.ndimage.zoom(coarse, factors, order=1, mode="nearest", grid_mode=True))
    return unit * field.reshape(*field.shape, *(1,) * (unit.ndim - dims))


def coarser(unit: np.ndarray, dims: int, number: int) -> np.ndarray:
    """Slices three times as thick along the first axis of a volume; a picture seen through a third of its pixels."""
    axes = (0,) if dims == 3 else (0, 1)
    for axis in axes:
        length = unit.shape[axis]
        thick = np.add.reduceat(unit, np.arange(0, length, 3), axis) / np.diff([*np.arange(0, length, 3), length]).reshape(
            [-1 if a == axis else 1 for a in range(unit.ndim)]
        )
        unit = np.take(thick, np.arange(length) // 3, axis)
    return unit


def negative(unit: np.ndarray, dims: int, number: int) -> np.ndarray:
    """Dark for bright."""
    return unit.max() - unit


STEPS = (("bias field", with_bias), ("coarser", coarser), ("negative", negative))


def shifted(image: Volume, steps: int, number: int) -> Volume:
    """An image after the first so many of `STEPS`; the same number always makes the same image."""
    unit = image.array.astype(np.float64)
    unit = (unit - unit.min()) / (unit.max() - unit.min())
    for _, change in STEPS[:steps]:
        unit = change(unit, image.spatial_dims, number)
    high = 255 if image.array.dtype == np.uint8 else 4095
    unit = unit / unit.max()
    return replace(image, array=(unit * high).round().astype(image.array.dtype))
