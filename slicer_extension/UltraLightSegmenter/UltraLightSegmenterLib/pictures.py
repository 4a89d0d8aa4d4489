"""A volume node as the core sees it: an array, a matrix, and a region of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .problem import Problem

Ranges = list[list[int]]
"""First voxel and the one after the last, along k, j, i."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What is to be segmented of a volume node; its array is a view that is valid while nobody changes the volume.

    Attributes:
        node: the volume node.
        array: (k, j, i), colours as one more axis.
        channels: 1, or 3 for a colour picture.
        affine: 4x4, voxel (i, j, k) to RAS mm in the node's own frame: without its parent transform.
    """

    node: Any
    array: Any
    channels: int
    affine: Any

    @classmethod
    def of(cls, node: Any) -> Picture:
        """The picture that a volume node holds.

        Raises:
            Problem: if it holds none, or several.
        """
        if node is None:
            raise Problem(_("Expected a volume, found none; load one, or choose a sample in the module Sample Data"))
        if (
            node.IsA("vtkMRMLDiffusionWeightedVolumeNode")
            or node.IsA("vtkMRMLDiffusionTensorVolumeNode")
            or node.IsA("vtkMRMLMultiVolumeNode")
        ):
            raise Problem(_("Expected one volume, found a series in {name}; extract one volume of it first").format(name=node.GetName()))
        image = node.GetImageData()
        if image is None or image.GetPointData().GetScalars() is None or 0 in image.GetDimensions():
            raise Problem(
                _("Expected a volume with image data, found none in {name}; load it again or choose another volume").format(
                    name=node.GetName()
                )
            )
        parts = image.GetNumberOfScalarComponents()
        if parts not in (1, 3, 4):
            raise Problem(
                _("Expected a volume with one value a voxel, found {parts} in {name}; extract one of them first").format(
                    parts=parts, name=node.GetName()
                )
            )
        array = slicer.util.arrayFromVolume(node)
        # A fourth colour is opacity, not part of the picture.
        return cls(node, array if parts == 1 else array[..., :3], 1 if parts == 1 else 3, matrix_of(node))

    @property
    def is_flat(self) -> bool:
        """Whether it is a picture of one slice, whose pixels seldom have a size that is known."""
        return 1 in self.shape

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along k, j, i."""
        return self.array.shape[:3]

    @property
    def spacing(self) -> Any:
        """Millimetres along i, j, k in the node's own frame."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(0))

    def fingerprint(self) -> str:
        """Tells whether a volume node still shows the same image: of the voxels alone, because files round where they lie."""
        digest = hashlib.sha256(f"{self.array.dtype.str} {self.array.shape}".encode())
        digest.update(np.ascontiguousarray(self.array).data)
        return digest.hexdigest()

    def world_scale(self) -> float | None:
        """How many times larger a voxel is in the world than by the volume's own spacing: what a parent transform makes of it.

        None where that differs from place to place.
        """
        parent = self.node.GetParentTransformNode()
        if parent is None:
            return 1.0
        matrix = vtk.vtkMatrix4x4()
        if not parent.IsTransformToWorldLinear() or not parent.GetMatrixTransformToWorld(matrix):
            return None
        return abs(float(np.linalg.det(slicer.util.arrayFromVTKMatrix(matrix)[:3, :3])))

    def axis(self, slice_node: Any) -> int:
        """The array axis that a slice view looks along."""
        here, beside = (self._voxel(point) for point in _middle_and_beyond(slice_node))
        return 2 - int(np.abs((beside - here) * self.spacing).argmax())

    def slice(self, slice_node: Any) -> tuple[int, int]:
        """The array axis that a slice view looks along, and the slice that it shows.

        Raises:
            Problem: if the view shows no slice of the volume.
        """
        axis = self.axis(slice_node)
        number = round(float(self._voxel(_middle_and_beyond(slice_node)[0])[2 - axis]))
        if not 0 <= number < self.shape[axis]:
            raise Problem(
                _("Expected a view that shows {name}, found one beside it; scroll to a slice of the volume").format(
                    name=self.node.GetName()
                )
            )
        return axis, number

    def box(self, roi: Any) -> Ranges:
        """The voxels that a markups ROI touches.

        Raises:
            Problem: if there is none, it is not placed yet or has no size, or it lies beside the volume.
        """
        if roi is None:
            raise Problem(_("Expected a region, found none; choose or draw an ROI under Scope"))
        if not roi.GetNumberOfControlPoints() or min(roi.GetSize()) <= 0:
            raise Problem(
                _("Expected a region with a size, found that {name} is empty; click “Fit to volume” and drag its handles").format(
                    name=roi.GetName()
                )
            )
        corners = np.array([self._voxel(point) for point in _corners(roi)])
        low, high = np.floor(corners.min(0) + 0.5), np.floor(corners.max(0) + 0.5)
        ranges = [[int(max(0, a)), int(min(n - 1, b)) + 1] for a, b, n in zip(low, high, self.shape[::-1], strict=True)]
        if any(stop <= start for start, stop in ranges):
            raise Problem(_("Expected an ROI on {name}, found one beside it; move it onto the volume").format(name=self.node.GetName()))
        return ranges[::-1]

    def voxel(self, world: Sequence[float]) -> Any:
        """Continuous voxel (k, j, i) of a point of the world, through the volume's parent transform."""
        return self._voxel(world)[::-1]

    def _voxel(self, world: Sequence[float]) -> Any:
        """Continuous voxel (i, j, k) of a point of the world, through the volume's parent transform."""
        local = transformed(world, self.node.GetParentTransformNode(), to_world=False)
        return (np.linalg.inv(self.affine) @ (*local, 1.0))[:3]


def matrix_of(node: Any) -> Any:
    """IJKToRAS of a volume node as an array."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def transformed(point: Sequence[float], transform_node: Any, *, to_world: bool) -> tuple[float, float, float]:
    """A point taken from a transform node's frame to the world, or back; None stands for the world itself."""
    if transform_node is None:
        return tuple(float(value) for value in point)
    transform = vtk.vtkGeneralTransform()
    (transform_node.GetTransformToWorld if to_world else transform_node.GetTransformFromWorld)(transform)
    return transform.TransformPoint(*map(float, point))


def _middle_and_beyond(slice_node: Any) -> tuple[Any, Any]:
    """The middle of a slice view in the world, and the point one millimetre behind it."""
    matrix = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())
    return matrix[:3, 3], matrix[:3, 3] + matrix[:3, 2]


def _corners(roi: Any) -> list[Any]:
    """The eight corners of an ROI in the world."""
    to_node = roi.GetObjectToNodeMatrix()
    centre, size = (np.array(found) for found in (roi.GetCenter(), roi.GetSize()))
    axes = [np.array([to_node.GetElement(row, axis) for row in range(3)]) for axis in range(3)]
    return [
        transformed(
            centre + sum(sign * size[axis] / 2 * axes[axis] for axis, sign in enumerate(signs)),
            roi.GetParentTransformNode(),
            to_world=True,
        )
        for signs in product((-1, 1), repeat=3)
    ]
