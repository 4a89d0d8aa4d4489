"""Layers that napari or another plugin derived from ours: cropped, thinned out, turned, split. Free of Qt.

Such layers keep our metadata, which tell of the whole image. Where their voxels lie in it follows from their place in napari's world,
and is believed only if voxels that were noted when the file was read are found there: a plugin that moves voxels without saying so would
otherwise put labels elsewhere in the patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultralightunet.errors import InputError

from .grid import KEY, Grid

SAMPLE = "sample"
"""In an image layer's facts: voxels from all over it as they were in the file."""

_COUNT = 16
"""Positions along each axis that are noted."""

Matrix = NDArray[np.float64]


def sample_of(shown: Any, dims: int) -> NDArray[Any] | None:
    """Voxels of an array as it is shown, at the first of the axes before the image's own; None for one that is computed when read."""
    if not isinstance(shown, np.ndarray):
        return None
    leading = shown.ndim - dims
    return np.array(shown[(0,) * leading][np.ix_(*(_positions(n) for n in shown.shape[leading:]))])


def refuse_if_turned(name: str, facts: Mapping[str, Any], shown: Any) -> None:
    """Refuse an array that has the shape of the file's, but whose voxels were flipped or turned since they were read.

    Args:
        name: of the layer.
        facts: in the layer's metadata.
        shown: the layer's array, one volume of one channel.

    Raises:
        InputError: if they were.
    """
    noted = facts.get(SAMPLE)
    if noted is None or (found := sample_of(shown, noted.ndim)) is None or found.shape != noted.shape or _equal(found, noted):
        return
    shape = shown.shape[-noted.ndim :]
    for order in permutations(range(noted.ndim)):
        if tuple(shape[axis] for axis in order) != tuple(shape):
            continue
        for steps in product((1, -1), repeat=noted.ndim):
            if _equal(found, noted.transpose(order)[tuple(slice(None, None, step) for step in steps)]):
                raise InputError(
                    f"expected {name!r} as it was in its file, found it turned or mirrored; turn it back, or open the file again, "
                    "so that labels lie where they belong"
                )


def derived_grid(name: str, facts: Mapping[str, Any], shown: Any, matrix: Matrix) -> Grid:
    """The grid of a layer that has our metadata, but other voxels than the file.

    Args:
        name: of the layer.
        facts: in the layer's metadata; without a sample (of labels) only a crop is believed.
        shown: the layer's array, one volume of one channel.
        matrix: index to napari's world, both along the image's own axes only.

    Raises:
        InputError: if its voxels are not found where they should be.
    """
    whole = Grid.whole(facts)
    dims = len(whole.shape)
    if len(shown.shape) != dims or len(matrix) != dims + 1:
        raise InputError(
            f"expected a {'volume' if dims == 3 else 'picture'}, found {len(shown.shape)} axes of one in {name!r}; "
            "choose the layer that it came from"
        )
    world = np.eye(dims + 1)
    if whole.has_spacing:
        world[:dims] = np.column_stack((np.diag(whole.shown_spacing), whole.shown_origin))
    to_whole = np.linalg.inv(world) @ matrix
    noted = facts.get(SAMPLE)
    if not (_is_crop(to_whole, shown.shape, whole) if noted is None else _is_found(to_whole, shown, noted, whole.shown_shape)):
        raise InputError(
            f"expected {name!r} to lie where its voxels are in its file, found them elsewhere or changed; use the layer that it came from, "
            "with a box"
        )
    return whole.part(shown.shape, to_whole)


def has_facts(metadata: Mapping[str, Any]) -> bool:
    """Whether a layer's metadata tell of a grid at all, be it this layer's or another one's."""
    facts = metadata.get(KEY)
    return isinstance(facts, Mapping) and "axes" in facts


def _positions(n: int) -> NDArray[np.intp]:
    """Up to `_COUNT` positions along an axis, the same from both ends."""
    if n <= _COUNT:
        return np.arange(n)
    half = np.linspace(0, (n - 1) / 2, _COUNT // 2, endpoint=False).astype(np.intp)
    return np.concatenate((half, n - 1 - half[::-1]))


def _equal(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return first.shape == second.shape and np.array_equal(first, second, equal_nan=first.dtype.kind == "f" and second.dtype.kind == "f")


def _is_crop(to_whole: Matrix, shape: tuple[int, ...], whole: Grid) -> bool:
    """Whether voxels are a part of the whole grid, moved by whole voxels only and not merely where any new layer lies."""
    dims = len(shape)
    start = to_whole[:dims, dims]
    inside = (start > -0.01).all() and (start + shape < np.array(whole.shown_shape) + 0.01).all()
    return bool(inside and np.allclose(to_whole[:dims, :dims], np.eye(dims), atol=1e-3) and np.allclose(start, np.round(start), atol=0.01))


def _is_found(to_whole: Matrix, shown: Any, noted: NDArray[Any], whole_shape: tuple[int, ...]) -> bool:
    """Whether the noted voxels that fall into a layer are there."""
    dims = noted.ndim
    if not isinstance(shown, np.ndarray) or abs(np.linalg.det(to_whole[:dims, :dims])) < 1e-9:
        return False
    grid = np.meshgrid(*(_positions(n) for n in whole_shape), indexing="ij")
    at = np.stack([axis.ravel() for axis in grid] + [np.ones(noted.size)])
    there = (np.linalg.inv(to_whole) @ at)[:dims]
    index = np.round(there).astype(np.intp)
    hit = (np.abs(there - index) < 0.01).all(0) & (index >= 0).all(0) & (index < np.array(shown.shape)[:, np.newaxis]).all(0)
    expected = noted.ravel()[hit]
    return bool(len(np.unique(expected)) > 1 and _equal(shown[tuple(index[:, hit])], expected))
