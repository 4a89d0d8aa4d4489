"""Images and their corrections on the network's own grid, as the product shows them to the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..inference.transforms import Orientation, grid_shape, normalize, resample, scale_limits, with_channels
from ..io import check_values
from ..models import Model
from ..volume import Volume

Array = NDArray[Any]

UNKNOWN = 255
"""Target of voxels that nobody has checked; equal to `losses.IGNORE`, which needs torch."""

_MOST_SLICES = 48
"""Slices of one volume that a 2D model learns from."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the network sees of one image, or of one slice of it.

    Attributes:
        name: of the case.
        image: float32 (C, *S), grey values as the network gets them.
        target: int16 (*S): the class; `UNKNOWN`; or -k for voxels that were labelled background when the classes from k on did not exist
            yet, so that they may be of one of those.
        spacing: of the grid's voxels in mm, or in pixels of the image.
    """

    name: str
    image: Array
    target: Array
    spacing: tuple[float, ...]


def prepared(image: Volume, target: Array | None, model: Model, *, name: str = "") -> Iterator[Prepared]:
    """An image for a model: once, or slice by slice where a 2D model gets a volume.

    Args:
        image: as the product gets it.
        target: as `Prepared.target`, on the image's grid; None where nothing is known.
        model: tells the grid and the rule for grey values.
        name: of the case.

    Raises:
        InputError: if the model cannot take the image.
    """
    image = check_values(image)
    array = with_channels(image.array, image.channels, model.architecture.in_channels)
    if array is None or image.spatial_dims < model.spatial_dims:
        raise InputError(
            f"expected an image in {model.spatial_dims}D with {model.architecture.in_channels} channel(s) for {model.name}, found one in "
            f"{image.spatial_dims}D with {image.channels}; choose the model that these corrections were made with"
        )
    known = np.full(image.shape, UNKNOWN, np.int16) if target is None else target
    limits = scale_limits(image.array, model.intensity) if model.intensity.rule == "scale" else (0.0, 1.0)
    for source, own, spacing in _planes(image, array, known, model):
        # As `session` does it.
        grid = grid_shape(own.shape, spacing, model.spacing) if model.spacing else model.size or own.shape
        grey = normalize(resample(source, grid), model.intensity, limits)
        size = tuple(n * s / g for n, s, g in zip(own.shape, spacing, grid, strict=True))
        yield Prepared(name, grey, _on_grid(own, grid), size)


def _planes(image: Volume, array: Array, target: Array, model: Model) -> Iterator[tuple[Array, Array, tuple[float, ...]]]:
    """Grey values, target and voxel size of each image that the network sees; see `session`."""
    if image.spatial_dims == 2:
        yield array, target, image.spacing
        return
    orientation = Orientation.of(image.affine)
    if model.spatial_dims == 3:
        yield orientation.apply(array), orientation.apply(target), orientation.spacing(image.spacing)
        return
    if not image.has_spacing:
        orientation = Orientation((0, 1, 2), (True, True, True))
    upright = orientation.reversed()
    grey, own, spacing = upright.apply(array), upright.apply(target), upright.spacing(image.spacing)
    axis = int(np.argmax(spacing))
    rest = tuple(a for a in range(3) if a != axis)
    wanted = np.flatnonzero((own != UNKNOWN).any(rest)) if (own != UNKNOWN).any() else np.arange(own.shape[axis])
    if len(wanted) > _MOST_SLICES:
        wanted = wanted[np.linspace(0, len(wanted) - 1, _MOST_SLICES).round().astype(int)]
    for n in wanted:
        yield np.moveaxis(grey, axis, 0)[n], np.moveaxis(own, axis, 0)[n], tuple(spacing[a] for a in rest)


def _on_grid(target: Array, grid: tuple[int, ...]) -> Array:
    """Each voxel of the grid takes the target that has the largest share in it, so that borders stay smooth on a finer grid."""
    found = np.full(grid, UNKNOWN, np.int16)
    values = np.unique(target)
    if len(values) == 1 or target.shape == tuple(grid):
        found[:] = values[0] if len(values) == 1 else target
        return found
    best = np.zeros(grid, np.float32)
    for value in values:
        share = resample((target == value).astype(np.float32), grid)[0]
        wins = share > best
        found[wins] = value
        np.maximum(best, share, out=best)
    return found
