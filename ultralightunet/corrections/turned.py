"""One image, stored in two ways: a host may turn axes around when it reads a file, and that makes no other case of it.

3D Slicer, for one, reverses the slices of an image whose axes are left-handed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..volume import Affine, Segmentation, Volume
from .files import image_hash


@dataclass(frozen=True)
class Turn:
    """How one array becomes the other: array axes in their new order, and which of these run backwards then.

    Attributes:
        axes: for each axis of the result, the axis of the source.
        flips: for each axis of the result, whether it is reversed.
        affine: of the result.
    """

    axes: tuple[int, ...]
    flips: tuple[bool, ...]
    affine: Affine

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """`array`, (k, j, i) or (j, i) and channels behind, turned."""
        further = range(len(self.axes), array.ndim)
        return array.transpose((*self.axes, *further))[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def image(self, image: Volume) -> Volume:
        """The same image on the other grid."""
        return replace(image, array=self.apply(image.array), affine=self.affine)

    def labels(self, labels: Segmentation) -> Segmentation:
        """The same labels on the other grid."""
        return replace(labels, labels=self.apply(labels.labels), affine=self.affine)


def turn_to_known(image: Volume, grids: Collection[str], holds: Callable[[str], bool]) -> Turn | None:
    """How `image` is turned in a store, None if it is not there, or lies there as it does here.

    Args:
        image: to be found.
        grids: of the images of the store, see `packed_grid`; each once, however many images have it.
        holds: whether the store has an image of a certain hash.
    """
    for shape, affine in _possible(image, grids):
        turn = _turn(image.affine, image.shape, affine, shape)
        if turn is None:
            continue
        found = image_hash(turn.apply(image.array), turn.affine, channels=image.channels, has_spacing=image.has_spacing)
        if holds(found):
            return turn
    return None


def packed_grid(shape: tuple[int, ...], channels: int, affine: Affine) -> str:
    """A grid of voxels as text, to the last bit: thousands are quickly compared, and told apart."""
    return f"{'x'.join(map(str, shape))} {channels} {affine.astype('<f8').tobytes().hex()}"


def _possible(image: Volume, grids: Iterable[str]) -> Iterator[tuple[tuple[int, ...], Affine]]:
    """Shape and affine of the grids whose axes are those of `image`, in another order or direction."""
    dims = image.spatial_dims
    found = [grid.rpartition(" ") for grid in grids]
    alike = {head for head in {head for head, _, _ in found} if _is_alike(image, head)}
    found = [each for each in found if each[0] in alike]
    if not found:
        return
    affines = np.frombuffer(bytes.fromhex("".join(each[2] for each in found)), "<f8").reshape(-1, 4, 4)
    between = (np.linalg.inv(image.affine) @ affines)[:, :dims, :dims]
    whole = np.abs(between - np.rint(between)).max(axis=(1, 2)) < 1e-2
    for n in np.flatnonzero(whole & (np.abs(np.rint(between)).sum(axis=(1, 2)) == dims)):
        yield tuple(map(int, found[n][0].split(" ")[0].split("x"))), affines[n]


def _is_alike(image: Volume, head: str) -> bool:
    shape, channels = head.split(" ")
    return int(channels) == image.channels and sorted(map(int, shape.split("x"))) == sorted(image.shape)


def _turn(source: Affine, shape: tuple[int, ...], target: Affine, target_shape: tuple[int, ...]) -> Turn | None:
    """The turn that takes one voxel grid to the other, None where there is none or none is needed."""
    dims = len(shape)
    if dims != len(target_shape) or (np.allclose(source, target, atol=1e-3) and shape == target_shape):
        return None
    # Columns say where a voxel of the target lies in the source, along i, j, k.
    between = (np.linalg.inv(source) @ target)[:dims, :dims]
    signs = np.rint(between)
    if not np.allclose(between, signs, atol=1e-3) or not (np.abs(signs).sum(0) == 1).all() or not (np.abs(signs).sum(1) == 1).all():
        return None
    order = np.abs(signs).argmax(0)
    axes = tuple(dims - 1 - int(order[dims - 1 - axis]) for axis in range(dims))
    flips = tuple(bool(signs[order[dims - 1 - axis], dims - 1 - axis] < 0) for axis in range(dims))
    turn = Turn(axes, flips, target)
    first = np.zeros(4)
    first[3] = 1
    for axis, flip in enumerate(flips):
        first[dims - 1 - axes[axis]] = shape[axes[axis]] - 1 if flip else 0
    fits = tuple(shape[axis] for axis in axes) == target_shape and np.allclose(source @ first, target[:, 3], atol=1e-3)
    return turn if fits else None
