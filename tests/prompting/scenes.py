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


def winding(*, width: float) -> tuple[Volume, np.ndarray, list[np.ndarray]]:
    """A grey picture with three thin lines from side to side, the lines, and three pieces along each of them, (N, 2) in (j, i)."""
    size = 200
    target = np.zeros((size, size), bool)
    pieces = []
    for middle, phase in ((50, 0), (105, 1), (160, 2)):
        i = np.linspace(6, 193, 10 * size)
        j = middle + 22 * np.sin(i / 24 + phase)
        target[j.round().astype(int), i.round().astype(int)] = True
        pieces += [np.stack((j, i), 1)[(i >= start) & (i < start + 40)][::40] for start in (15, 80, 140)]
    target = scipy.ndimage.distance_transform_edt(~target) <= width / 2
    image = scipy.ndimage.gaussian_filter(target * 90.0, 0.7) + 70 + np.random.default_rng(0).normal(0, 5, target.shape)
    return Volume(image.clip(0, 255).astype(np.uint8), has_spacing=False), target, pieces
