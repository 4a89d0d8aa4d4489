"""A small picture of an image with the outlines of its labels: three planes side by side, or the picture as it is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..inference.plausibility import kind_of
from ..inference.transforms import Orientation
from ..volume import Segmentation, Volume

Array = NDArray[Any]

TILE = 320
"""Pixels of the longest side of a plane."""

_QUALITY = 60
_SAMPLES = 200_000
_SOFT_TISSUE = (-160.0, 240.0)
"""Hounsfield units from black to white; by its percentiles a CT would show air and table."""


def picture_of(image: Volume, segmentation: Segmentation) -> bytes:
    """A WebP file.

    Of a volume it shows, along each axis of the patient, the slice with most labels (the middle one where there are none), as radiologists
    look at slices: the patient's right on the left, the head or the nose up, or the nose to the left. All three have one scale in mm.

    Args:
        image: (k, j, i) or (j, i), in colour or not.
        segmentation: its labels.
    """
    labels = segmentation.labels
    palette = np.zeros((max(int(labels.max(initial=0)), *(entry.index for entry in segmentation.classes), 1) + 1, 3), np.uint8)
    palette[1:] = (255, 220, 0)
    for entry in segmentation.classes:
        palette[entry.index] = entry.color
    limits = _limits(image)
    if image.spatial_dims == 2:
        tiles = [_tile(image.array, labels, image.spacing, limits, palette, TILE / _extent(image.shape, image.spacing))]
    else:
        orientation = Orientation.of(image.affine).reversed()
        values, found = orientation.apply(image.array), orientation.apply(labels)
        spacing = orientation.spacing(image.spacing)
        scale = TILE / _extent(found.shape, spacing)
        tiles = []
        for axis in range(3):
            chosen = _slice_to_show(found, axis)
            plane = tuple(size for other, size in enumerate(spacing) if other != axis)
            tiles.append(_tile(np.take(values, chosen, axis), np.take(found, chosen, axis), plane, limits, palette, scale))
    strip = np.zeros((max(len(tile) for tile in tiles), sum(tile.shape[1] for tile in tiles) + 4 * (len(tiles) - 1), 3), np.uint8)
    left = 0
    for tile in tiles:
        top = (len(strip) - len(tile)) // 2
        strip[top : top + len(tile), left : left + tile.shape[1]] = tile
        left += tile.shape[1] + 4
    packed = io.BytesIO()
    Image.fromarray(strip).save(packed, "WEBP", quality=_QUALITY, method=4)
    return packed.getvalue()


def _extent(shape: Sequence[int], spacing: Sequence[float]) -> float:
    return max(n * size for n, size in zip(shape, spacing, strict=True))


def _limits(image: Volume) -> tuple[float, float]:
    """The values that are black and white."""
    if kind_of(image) == "CT":
        return _SOFT_TISSUE
    step = max(1, round((image.array.size / _SAMPLES) ** (1 / image.spatial_dims)))
    sample = image.array[(slice(None, None, step),) * image.spatial_dims]
    sample = sample[np.isfinite(sample)]
    low, high = (float(value) for value in np.percentile(sample, (0.5, 99.5))) if sample.size else (0.0, 1.0)
    return low, max(high, low + 1e-6)


def _slice_to_show(labels: Array, axis: int) -> int:
    others = tuple(other for other in range(3) if other != axis)
    areas = np.count_nonzero(labels, others)
    return int(areas.argmax()) if areas.any() else labels.shape[axis] // 2


def _tile(values: Array, labels: Array, spacing: Sequence[float], limits: tuple[float, float], palette: Array, scale: float) -> Array:
    """A plane in colour, (J, I, 3), with the outline of each label."""
    low, high = limits
    size = tuple(max(1, round(n * mm * scale)) for n, mm in zip(labels.shape, spacing, strict=True))[::-1]
    grey = np.nan_to_num(np.clip((values.astype(np.float32) - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
    shown = np.array(Image.fromarray(grey).convert("RGB").resize(size, Image.Resampling.BILINEAR))
    kind = np.uint8 if palette.shape[0] <= 256 else np.int32
    drawn = np.asarray(Image.fromarray(np.ascontiguousarray(labels, dtype=kind)).resize(size, Image.Resampling.NEAREST))
    edge = np.zeros(drawn.shape, bool)
    # The two outermost pixels of a label, inside of it.
    for step in (1, 2):
        edge[step:] |= drawn[step:] != drawn[:-step]
        edge[:-step] |= drawn[:-step] != drawn[step:]
        edge[:, step:] |= drawn[:, step:] != drawn[:, :-step]
        edge[:, :-step] |= drawn[:, :-step] != drawn[:, step:]
    edge &= drawn > 0
    shown[edge] = palette[drawn[edge]]
    return shown
