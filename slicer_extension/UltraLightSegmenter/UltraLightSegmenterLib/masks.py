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
    def of_segment(cls, node: Any, segment_id: str, picture: Picture, within: Ranges | None = None) -> Mask:
        """The voxels that a segment has of a volume, or of ranges of it."""
        whole = [[0, n] for n in picture.shape]
        segment = node.GetSegmentation().GetSegment(segment_id)
        # The layer itself, which segments share, and no copy of it.
        layer = segment.GetRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
        if layer is None:
            return cls.empty()
        array, value = _voxels(layer), segment.GetLabelValue()
        extent = _extent(layer) if array.size else whole
        is_inside = all(a >= 0 and b <= n for (a, b), n in zip(extent, picture.shape, strict=True))
        same_place = node.GetParentTransformNode() is picture.node.GetParentTransformNode()
        if array.size and not (same_place and is_inside and np.allclose(_matrix(layer), picture.affine, atol=1e-4)):
            # Another grid, or it reaches beyond: Slicer resamples, which takes a whole volume.
            array, value, extent = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, picture.node), 1, whole
        if array is None or not array.size:
            return cls.empty()
        common = _common(extent, within or whole)
        if common is None:
            return cls.empty()
        cut = tuple(slice(a - first, b - first) for (a, b), (first, _last) in zip(common, extent, strict=True))
        return cls._cut(array[cut] == value, [a for a, _b in common])

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

    def on(self, ranges: Ranges) -> Any:
        """The mask in other ranges, bool."""
        shown = np.zeros([b - a for a, b in ranges], np.bool_)
        common = _common(self.ranges, ranges)
        if common is not None:
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


def around(*masks: Mask) -> Ranges:
    """The smallest ranges that hold all of some masks."""
    some = [mask.ranges for mask in masks if mask.voxels]
    return [[min(of[axis][0] for of in some), max(of[axis][1] for of in some)] for axis in range(3)] if some else Mask.empty().ranges


def _common(one: Ranges, other: Ranges) -> Ranges | None:
    """What two ranges have in common, or None."""
    common = [[max(a, c), min(b, d)] for (a, b), (c, d) in zip(one, other, strict=True)]
    return common if all(a < b for a, b in common) else None


def _extent(image: Any) -> Ranges:
    """The voxels of an image, along k, j, i."""
    extent = image.GetExtent()
    return [[extent[2 * axis], extent[2 * axis + 1] + 1] for axis in (2, 1, 0)]


def _voxels(image: Any) -> Any:
    scalars = image.GetPointData().GetScalars()
    if scalars is None or not image.GetNumberOfPoints():
        return np.zeros((0, 0, 0), np.uint8)
    return numpy_support.vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
