"""Pictures that look a little like colonoscopy or breast ultrasound, painted at random: nobody's licence forbids to pass them on."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi

SHAPE = (192, 224)

Array = np.ndarray


def polyp(number: int) -> tuple[Array, Array]:
    """Picture `number`: (H, W, 3) uint8, and where its polyp is, (H, W) bool; always the same for the same number."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    wall = _wall(rng, rows, columns)
    mask, height = _bump(rng, rows, columns)
    light = 0.75 + 0.25 * _smooth(rng, 60)
    distance = np.hypot(rows - SHAPE[0] / 2, columns - SHAPE[1] / 2) / (0.62 * SHAPE[1])
    light *= np.clip(1.25 - 0.7 * distance**2, 0, 1)
    # The polyp is lit from the camera: bright where it bulges, dark beside its lower edge.
    shadow = ndi.gaussian_filter(np.roll(mask.astype(np.float32), (4, int(rng.integers(-4, 5))), (0, 1)), 4) * ~mask
    redder = np.array([rng.uniform(0.96, 1.06), rng.uniform(0.82, 1.05), rng.uniform(0.82, 1.05)], np.float32)
    colour = np.where(mask[..., None], wall * redder * (0.92 + 0.25 * height[..., None]), wall * (1 - 0.35 * shadow[..., None]))
    colour = colour * light[..., None]
    glints = ndi.gaussian_filter((rng.random(SHAPE) > 0.9995).astype(np.float32), 1.5) * 12 * (0.3 + height)
    colour = colour + np.clip(glints, 0, 1)[..., None]
    colour = ndi.gaussian_filter(colour, (0.7, 0.7, 0)) + rng.normal(0, 0.012, colour.shape)
    return (np.clip(colour, 0, 1) * 255).astype(np.uint8), mask


def lesion(number: int) -> tuple[Array, Array]:
    """Picture `number`: (H, W) uint8, and where its dark lesion is, (H, W) bool; always the same for the same number."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    mask, height = _bump(rng, rows, columns)
    # Skin, fat, gland and muscle lie one under the other; sound fades on its way, and comes back stronger behind fluid.
    layers = 0.45 + 0.13 * np.sin(rows / rng.uniform(12, 24) + 1.2 * _smooth(rng, 50)) + 0.06 * _smooth(rng, 14)
    layers = layers + 0.35 * (rows < 10 + 3 * _smooth(rng, 40))
    behind = ndi.gaussian_filter((np.maximum.accumulate(mask, axis=0) & ~mask) * 1.0, 5)
    tone = np.where(
        mask, rng.uniform(0.06, 0.14) + 0.02 * (1 - height), layers + rng.uniform(0.05, 0.2) * ndi.gaussian_filter(behind * 1.0, 5)
    )
    tone = ndi.gaussian_filter(tone, 1.2) * (1.1 - 0.4 * rows / SHAPE[0])
    speckle = np.hypot(*(ndi.gaussian_filter(rng.normal(size=SHAPE), (0.7, 1.3)) for _ in range(2)))
    return (np.clip(tone * (0.45 + 0.55 * speckle / speckle.mean()), 0, 1) * 255).astype(np.uint8), mask


def _wall(rng: np.random.Generator, rows: Array, columns: Array) -> Array:
    """Mucosa: folds around the way onward, vessels, fine grain."""
    centre = rng.uniform(-0.2, 1.2, 2) * SHAPE
    angle, away = np.arctan2(rows - centre[0], columns - centre[1]), np.hypot(rows - centre[0], columns - centre[1])
    folds = np.sin(away / rng.uniform(14, 30) + 2 * _smooth(rng, 40) + rng.uniform(0, 3) * np.sin(angle * 3))
    vessels = np.clip(1 - np.abs(_smooth(rng, 12)) / 0.06, 0, 1) * (_smooth(rng, 40) > 0)
    base = np.array([rng.uniform(0.6, 0.85), rng.uniform(0.3, 0.45), rng.uniform(0.2, 0.35)], np.float32)
    tone = 1 + 0.09 * folds + 0.08 * _smooth(rng, 25) + 0.03 * _smooth(rng, 3)
    found: Array = base * tone[..., None] * (1 - vessels[..., None] * np.array([0.06, 0.2, 0.2], np.float32))
    return found


def _bump(rng: np.random.Generator, rows: Array, columns: Array) -> tuple[Array, Array]:
    """A rounded, slightly uneven shape, and how far it bulges, from 0 to 1."""
    middle = np.array(SHAPE) * rng.uniform(0.3, 0.7, 2)
    angle, size, ratio = rng.uniform(0, np.pi), rng.uniform(22, 48), rng.uniform(0.65, 1.0)
    down, across = rows - middle[0], columns - middle[1]
    along, beside = np.cos(angle) * across + np.sin(angle) * down, np.cos(angle) * down - np.sin(angle) * across
    radius = np.hypot(along / size, beside / (size * ratio)) * (1 + 0.08 * _smooth(rng, 18))
    return radius < 1, np.sqrt(np.clip(1 - radius**2, 0, 1)).astype(np.float32)


def _smooth(rng: np.random.Generator, reach: float) -> Array:
    """Random values of deviation 1 that vary over about so many pixels."""
    found = ndi.gaussian_filter(rng.normal(size=SHAPE).astype(np.float32), reach / 2.5, mode="reflect")
    found /= found.std() + 1e-6
    return found
