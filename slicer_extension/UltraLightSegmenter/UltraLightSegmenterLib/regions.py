"""A region of a volume, as a markups ROI."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .pictures import Picture
from .problem import Problem


def fit(roi: Any, picture: Picture) -> None:
    """Let an ROI enclose all voxels of a volume, along its axes and under its transform; its handles are there to be dragged.

    Raises:
        Problem: if there is no ROI.
    """
    if roi is None:
        raise Problem(_("Expected a region, found none; choose or draw an ROI under Scope"))
    turn, low, high = _box_of(picture)
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = turn @ ((low + high) / 2)
    with slicer.util.NodeModify(roi):
        roi.SetAndObserveTransformNodeID(picture.node.GetTransformNodeID())
        roi.SetROIType(slicer.vtkMRMLMarkupsROINode.ROITypeBox)
        if not roi.GetNumberOfControlPoints():
            roi.AddControlPoint(vtk.vtkVector3d(0.0, 0.0, 0.0))
        roi.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))
        roi.SetSize(*map(float, high - low))
    if roi.GetDisplayNode() is None:
        roi.CreateDefaultDisplayNodes()


def _box_of(picture: Picture) -> tuple[Any, Any, Any]:
    """Axes as a rotation, and the corners along them, of the box that holds every voxel of a volume, in the node's own frame."""
    left, _sizes, right = np.linalg.svd(picture.affine[:3, :3] / picture.spacing)
    turn = left @ right
    # An ROI has right-handed axes; which way one of them runs makes no other box.
    turn[:, 2] *= np.linalg.det(turn)
    ends = [(-0.5, n - 0.5) for n in picture.shape[::-1]]
    corners = np.array([(picture.affine @ (*corner, 1.0))[:3] for corner in product(*ends)]) @ turn
    return turn, corners.min(0), corners.max(0)
