"""The mask of one object in a volume, no larger than the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from .pictures import Picture, Ranges


@dataclass(frozen=True, eq=False)
class Mask:
    """What belongs to an object; outside of `ranges` nothing does.

    Attributes:
        ranges: voxels of the volume, along k, j, i.
        array: bool, of their size.
    """

    ranges: Ranges
    array: Any

    @classmethod
    def empty(cls) -> Mask:
        """No voxel."""
        return cls([[0, 0], [0, 0], [0, 0]], np.zeros((0, 0, 0), np.bool_))

    @classmethod
    def of_segment(cls, node: Any, segment_id: str, picture: Picture) -> Mask:
        """The voxels that a segment has of a volume."""
        labels = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(segment_id, labels)
        array, (low, high) = _voxels(labels), _extent(labels)
        is_inside = not labels.IsEmpty() and (low >= 0).all() and (high <= picture.shape).all()
        same_place = node.GetParentTransformNode() is picture.node.GetParentTransformNode()
        if not (same_place and is_inside and np.allclose(_matrix(labels), picture.affine, atol=1e-4)):
            # Another grid, or it reaches beyond: Slicer resamples, which takes a whole volume.
            array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, picture.node)
            low = np.zeros(3, int)
            if array is None:
                return cls.empty()
        return cls._cut(array != 0, low)

    @classmethod
    def _cut(cls, array: Any, low: Any) -> Mask:
        """What is True of an array that begins at the voxel `low`."""
        sides = [np.flatnonzero(array.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
        if not len(sides[0]):
            return cls.empty()
        inner = [(int(side[0]), int(side[-1]) + 1) for side in sides]
        ranges = [[int(first) + a, int(first) + b] for first, (a, b) in zip(low, inner, strict=True)]
        return cls(ranges, array[tuple(slice(a, b) for a, b in inner)])

    @property
    def voxels(self) -> int:
        """How many there are."""
        return int(np.count_nonzero(self.array))

    def has(self, voxel: Any) -> bool:
        """Whether a voxel (k, j, i) belongs to it."""
        inside = all(a <= v < b for v, (a, b) in zip(voxel, self.ranges, strict=True))
        return inside and bool(self.array[tuple(v - a for v, (a, _b) in zip(voxel, self.ranges, strict=True))])

    def on(self, ranges: Ranges) -> Any:
        """The mask in other ranges, bool."""
        shown = np.zeros([b - a for a, b in ranges], np.bool_)
        common = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(self.ranges, ranges, strict=True)]
        if all(a < b for a, b in common):
            there, here = (
                tuple(slice(a - first, b - first) for (a, b), (first, _last) in zip(common, of, strict=True))
                for of in (ranges, self.ranges)
            )
            shown[there] = self.array[here]
        return shown

    def without(self, other: Mask) -> Mask:
        """What does not belong to another mask."""
        return self._cut(self.array & ~other.on(self.ranges), [a for a, _b in self.ranges])

    def image(self, affine: Any) -> Any:
        """The mask for VTK: 1 where it is; `affine` takes voxels (i, j, k) of the volume to the frame that is meant."""
        image = slicer.vtkOrientedImageData()
        image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(affine))
        image.SetExtent(*(end for a, b in self.ranges[::-1] for end in (a, b - 1)))
        image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(self.array.astype(np.uint8).ravel(), deep=True))
        return image


def _matrix(image: Any) -> Any:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _extent(image: Any) -> tuple[Any, Any]:
    """First voxel and the one after the last, (k, j, i)."""
    extent = np.array(image.GetExtent())
    return extent[::2][::-1], extent[1::2][::-1] + 1


def _voxels(image: Any) -> Any:
    scalars = image.GetPointData().GetScalars()
    if scalars is None or not image.GetNumberOfPoints():
        return np.zeros((0, 0, 0), np.uint8)
    return numpy_support.vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
