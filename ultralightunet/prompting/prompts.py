"""What a user says about an object, as plain data: voxels of the image that belong to it or do not, or an area that it lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Indices = NDArray[np.intp]
"""(N, 2) in (j, i) or (N, 3) in (k, j, i)."""

_AXES = {2: "(j, i)", 3: "(k, j, i)"}


@dataclass(frozen=True)
class Point:
    """A voxel of the object, or one that is not of it.

    >>> from ultralightunet import Point
    >>> Point((30, 40)).marks((64, 64)).tolist()
    [[30, 40]]

    Attributes:
        voxel: (j, i) of a picture or (k, j, i) of a volume.
        positive: whether it belongs to the object.
    """

    voxel: Sequence[float]
    positive: bool = True

    def marks(self, shape: tuple[int, ...]) -> Indices:
        """The voxels meant, (1, 2 or 3).

        Raises:
            InputError: for a point outside an image of `shape`.
        """
        return _inside(_indices([self.voxel], shape, "a point"), shape, "a point")


@dataclass(frozen=True, eq=False)
class Stroke:
    """Voxels of the object, or such that are not of it; in any order.

    >>> from ultralightunet import Stroke
    >>> Stroke([(5, 6), (5, 7)], positive=False).marks((64, 64)).tolist()
    [[5, 6], [5, 7]]

    Attributes:
        voxels: (N, 2) in (j, i) or (N, 3) in (k, j, i).
        positive: whether they belong to the object.
    """

    voxels: Any
    positive: bool = True

    @classmethod
    def along(cls, path: Any, *, positive: bool = True) -> Stroke:
        """The stroke of a pen that moved straight from each place of `path` (N, 2 or 3) to the next.

        >>> from ultralightunet import Stroke
        >>> Stroke.along([(0, 0), (0, 3)]).voxels.tolist()
        [[0, 0], [0, 1], [0, 2], [0, 3]]
        """
        places = np.atleast_2d(np.asarray(path, np.float64))
        pieces = [places[:1]]
        for start, end in pairwise(places):
            steps = max(1, int(np.ceil(np.abs(end - start).max())))
            pieces.append(start + (end - start) * np.linspace(0, 1, steps + 1)[1:, None])
        voxels = np.rint(np.concatenate(pieces)).astype(np.intp)
        return cls(voxels[np.r_[True, (np.diff(voxels, axis=0) != 0).any(1)]], positive)

    def marks(self, shape: tuple[int, ...]) -> Indices:
        """The voxels meant that lie inside: a hand may run over the edge.

        Raises:
            InputError: for a stroke that lies outside an image of `shape` altogether.
        """
        found = _indices(self.voxels, shape, "a stroke")
        inside = ((found >= 0) & (found < shape)).all(1)
        return _inside(found[inside] if inside.any() else found, shape, "a stroke")


@dataclass(frozen=True)
class Box:
    """The object lies inside a box; or, with `positive=False`, nothing of it does.

    >>> from ultralightunet import Box
    >>> Box(((10, 20), (-5, 30))).area((64, 64))
    (slice(10, 20, None), slice(0, 30, None))

    Attributes:
        ranges: half-open, ((j0, j1), (i0, i1)) or ((k0, k1), (j0, j1), (i0, i1)).
        positive: whether the object lies inside.
    """

    ranges: Sequence[Sequence[float]]
    positive: bool = True

    def area(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """The box as slices of an image of `shape`; what lies outside the image is cut off.

        Raises:
            InputError: for a box without a voxel in the image.
        """
        ranges = np.asarray(self.ranges, np.float64)
        if ranges.shape != (len(shape), 2) or not np.isfinite(ranges).all():
            raise InputError(f"expected a box of ranges along {_AXES[len(shape)]}, found {self.ranges}; draw it in the image")
        slices = tuple(slice(max(0, round(a)), min(n, round(b))) for (a, b), n in zip(ranges.tolist(), shape, strict=True))
        if any(s.start >= s.stop for s in slices):
            raise InputError(f"expected a box inside the image's {shape}, found {self.ranges}; draw it in the image")
        return slices


@dataclass(frozen=True, eq=False)
class Lasso:
    """A loop around the object, in one slice; or, with `positive=False`, around what is not of it.

    >>> from ultralightunet import Lasso
    >>> len(Lasso([(10, 10), (10, 20), (20, 20), (20, 10)]).marks((64, 64)))
    121

    Attributes:
        corners: of the loop, (N, 2) in (j, i) or (N, 3) in (k, j, i) with one axis constant; N at least 3.
        positive: whether the object lies inside.
    """

    corners: Any
    positive: bool = True

    def marks(self, shape: tuple[int, ...]) -> Indices:
        """All voxels inside the loop.

        Raises:
            InputError: for a loop without a voxel in the image, or in more slices than one.
        """
        corners = np.asarray(self.corners, np.float64)
        if corners.ndim != 2 or corners.shape[1] != len(shape) or len(corners) < 3 or not np.isfinite(corners).all():
            raise InputError(f"expected a loop of at least 3 corners along {_AXES[len(shape)]}, found shape {corners.shape}; draw it again")
        flat = [axis for axis in range(len(shape)) if len(shape) == 3 and np.ptp(np.rint(corners[:, axis])) == 0]
        if len(shape) == 3 and not flat:
            raise InputError("expected a loop in one slice, found one through several; draw it in one view")
        plane = [axis for axis in range(len(shape)) if axis not in flat[:1]]
        # Imported where it is needed: Slicer's Python does not have it, and has no loops.
        import skimage.draw

        inside = skimage.draw.polygon2mask(  # type: ignore[no-untyped-call]
            [shape[a] for a in plane], corners[:, plane]
        )
        found = np.empty((int(inside.sum()), len(shape)), np.intp)
        found[:, plane] = np.argwhere(inside)
        for axis in flat[:1]:
            found[:, axis] = round(corners[0, axis])
        return _inside(found, shape, "a loop")


Prompt = Point | Stroke | Box | Lasso
"""Whatever can be said about an object."""


def _indices(voxels: Any, shape: tuple[int, ...], what: str) -> Indices:
    found = np.asarray(voxels, np.float64)
    if found.ndim != 2 or found.shape[1] != len(shape) or not np.isfinite(found).all():
        raise InputError(f"expected {what} in voxels {_AXES[len(shape)]}, found shape {found.shape}; give {len(shape)} numbers a voxel")
    return np.rint(found).astype(np.intp)


def _inside(found: Indices, shape: tuple[int, ...], what: str) -> Indices:
    if not len(found) or not ((found >= 0) & (found < shape)).all():
        where = "none" if not len(found) else str(tuple(int(v) for v in found[0]))
        raise InputError(f"expected {what} inside the image's {shape}, found {where}; point at the image")
    return found
