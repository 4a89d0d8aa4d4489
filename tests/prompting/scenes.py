"""Images with one object each, to point at."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from ultralightunet.volume import Volume


def blob(shape: tuple[int, int], centre: tuple[int, int], radius: float) -> tuple[Volume, np.ndarray]:
    """A grey picture with a bright disc, a little blurred and noisy, and the disc."""
    image, target = _scene(shape, centre, radius)
    return Volume(image, has_spacing=False), target


def ball(shape: tuple[int, int, int], centre: tuple[int, int, int], radius: float) -> tuple[Volume, np.ndarray]:
    """The same as a volume with voxels of 1 mm."""
    image, target = _scene(shape, centre, radius)
    return Volume(image), target


def _scene(shape: tuple[int, ...], centre: tuple[int, ...], radius: float) -> tuple[np.ndarray, np.ndarray]:
    grid = np.meshgrid(*(np.arange(n) - c for n, c in zip(shape, centre, strict=True)), indexing="ij")
    target = sum(axis**2 for axis in grid) <= radius**2
    image = scipy.ndimage.gaussian_filter(target * 120.0, 0.8) + 60 + np.random.default_rng(0).normal(0, 4, shape)
    return image.clip(0, 255).astype(np.uint8), target
