"""A user who points: clicks in the views, as Slicer's place mode takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from UltraLightSegmenterLib.pictures import matrix_of, transformed

from tests.slicer.conftest import add_volume
from tests.slicer.user import Slicer

AFFINE = [[-1, 0, 0, 30], [0, 1, 0, -20], [0, 0, 2, 10], [0, 0, 0, 1]]
"""Of `scan`, IJK to RAS: thick slices, to the right."""


def ball(shape: tuple[int, int, int] = (5, 40, 48), centre: tuple[int, int, int] = (2, 20, 24), radius: float = 9.0) -> Any:
    """A bright ball in noise, (k, j, i), in voxels twice as thick as wide."""
    places = np.indices(shape).astype(np.float32)
    distance = np.sqrt(sum(((axis - c) * s) ** 2 for axis, c, s in zip(places, centre, (2, 1, 1), strict=True)))
    noise = np.random.default_rng(5).normal(0, 15, shape)
    return np.where(distance < radius, 600, 200).astype(np.int16) + noise.astype(np.int16)


def scan(array: Any = None) -> Any:
    """A volume node with the ball."""
    return add_volume(ball() if array is None else array, AFFINE)


def world(volume: Any, voxel: Any) -> tuple[float, float, float]:
    """Where a voxel (k, j, i) lies."""
    local = matrix_of(volume) @ (*voxel[::-1], 1.0)
    return transformed(local[:3], volume.GetParentTransformNode(), to_world=True)


def look_from(name: str, normal: tuple[float, float, float]) -> Any:
    """A slice view of the layout, with the mouse in it."""
    node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")
    if node is None:
        node = slicer.vtkMRMLSliceNode()
        node.SetLayoutName(name)
        node.SetSingletonTag(name)
        node = slicer.mrmlScene.AddNode(node)
    node.SetSliceToRASByNTP(*normal, *((0, 1, 0) if normal[1] == 0 else (1, 0, 0)), 0, 0, 0, 0)
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode") or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionXYZ([0.0, 0.0, 0.0], node)
    return node


def interaction() -> Any:
    """The node that says what the mouse means."""
    return slicer.app.applicationLogic().GetInteractionNode()


def place(volume: Any, *voxels: Any) -> None:
    """Click on voxels (k, j, i) with what place mode places; a curve or an ROI is finished by that."""
    assert interaction().GetCurrentInteractionMode() == interaction().Place, "no tool is in hand"
    node = slicer.mrmlScene.GetNodeByID(slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID())
    for voxel in voxels:
        node.AddControlPointWorld(vtk.vtkVector3d(*world(volume, voxel)))
    if not interaction().GetPlaceModePersistence():
        interaction().SwitchToViewTransformMode()


def point(user: Slicer, volume: Any, *voxels: Any, button: str = "pointAddButton") -> None:
    """Choose a tool, if it is not in hand, click, and wait for the answer."""
    if not getattr(user.ui, button).checked:
        getattr(user.ui, button).click()
        user.wait()
    place(volume, *voxels)
    user.wait()


def voxels_of(node: Any, segment_id: str, volume: Any) -> Any:
    """A segment on the volume's grid, bool."""
    found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)
    shape = slicer.util.arrayFromVolume(volume).shape[:3]
    return np.zeros(shape, np.bool_) if found is None else found != 0
