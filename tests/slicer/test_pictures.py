"""Volumes of Slicer as the core sees them, and which part of them is meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from UltraLightSegmenterLib.parameters import Checked, Scope
from UltraLightSegmenterLib.pictures import Picture
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.scopes import arguments, checked

from tests.slicer.conftest import add_transform, add_volume, noisy, rotation

OBLIQUE = rotation(20) @ rotation(-35, 0) @ np.array([[-0.8, 0, 0, 30], [0, 0.9, 0, -20], [0, 0, 2.0, 5], [0, 0, 0, 1]])
GRIDS = {
    "axial": np.diag([1.0, 1, 2, 1]),
    "sagittal": np.array([[0, 0, 2.0, 5], [1, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1]]),
    "mirrored": np.diag([-1.0, 1, 1, 1]),
    "oblique": OBLIQUE,
}


def add_view(middle: Any, across: Any, *, name: str = "Red") -> Any:
    """A slice view that looks along `across` at the point `middle` of the world."""
    node = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")
    if node is None:
        node = slicer.vtkMRMLSliceNode()
        node.SetSingletonTag(name)
        node.SetLayoutName(name)
        node = slicer.mrmlScene.AddNode(node)
    across = np.asarray(across, float) / np.linalg.norm(across)
    other = np.cross(across, np.eye(3)[np.abs(across).argmin()])
    other /= np.linalg.norm(other)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([other, np.cross(across, other), across], axis=1)
    matrix[:3, 3] = middle
    node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    return node


def add_roi(low: Any, high: Any, to_world: Any) -> Any:
    """An ROI around the voxels from `low` to `high` (i, j, k), turned as `to_world` says."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Region")
    low, high = np.asarray(low, float) - 0.4, np.asarray(high, float) + 0.4
    spacing = np.sqrt((to_world[:3, :3] ** 2).sum(0))
    turn = np.eye(4)
    turn[:3, :3] = to_world[:3, :3] / spacing
    centre = to_world @ (*((low + high) / 2), 1)
    turn[:3, 3] = centre[:3]
    node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(turn))
    node.SetSize(*((high - low) * spacing))
    return node


def choice(**facts: Any) -> Any:
    return SimpleNamespace(**{"scope": Scope.VOLUME, "view": "Red", "roi": None, "checked": Checked.ALL, **facts})


@pytest.mark.parametrize("turn", [np.eye(4), rotation(30, 1)], ids=["free", "transformed"])
@pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS)
def test_a_slice_and_a_region_are_found_on_every_grid(matrix: Any, turn: Any) -> None:
    volume = add_volume(noisy(), matrix)
    volume.SetAndObserveTransformNodeID(add_transform(turn).GetID())
    picture = Picture.of(volume)
    to_world = turn @ matrix
    for axis in range(3):
        # Array axes are k, j, i, columns of the matrix i, j, k.
        voxel = np.array([11.0, 7, 13, 1])
        add_view((to_world @ voxel)[:3], to_world[:3, 2 - axis])
        assert picture.slice(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")) == (axis, int(voxel[2 - axis]))
    roi = add_roi((3, 5, 2), (9, 14, 4), to_world)
    assert picture.box(roi) == [[2, 5], [5, 15], [3, 10]]


def test_scopes_become_the_boxes_axes_and_slices_of_the_core() -> None:
    picture = Picture.of(add_volume(noisy()))
    add_view((5, 6, 7), (0, 1, 0))
    roi = add_roi((3, 5, 2), (9, 14, 4), np.eye(4))
    assert arguments(picture, choice(), spatial_dims=3) == {}
    assert arguments(picture, choice(scope=Scope.SLICE), spatial_dims=3) == {"box": [[0, 20], [6, 7], [0, 28]]}
    assert arguments(picture, choice(scope=Scope.ROI, roi=roi), spatial_dims=3) == {"box": [[2, 5], [5, 15], [3, 10]]}
    assert arguments(picture, choice(), spatial_dims=2) == {"axis": 1}
    assert arguments(picture, choice(scope=Scope.SLICE), spatial_dims=2) == {"axis": 1, "slice": 6}
    photograph = Picture.of(add_volume(np.zeros((1, 24, 28, 3), np.uint8), kind="vtkMRMLVectorVolumeNode"))
    assert (photograph.channels, photograph.shape) == (3, (1, 24, 28))
    assert arguments(photograph, choice(), spatial_dims=2) == {"axis": 0}


def test_what_was_checked_becomes_slices_or_a_mask() -> None:
    picture = Picture.of(add_volume(noisy()))
    add_view((5, 6, 7), (0, 0, 1))
    assert checked(picture, choice()) is None
    assert checked(picture, choice(checked=Checked.SLICE)) == {0: [7]}
    mask = checked(picture, choice(checked=Checked.ROI, roi=add_roi((3, 5, 2), (9, 14, 4), np.eye(4))))
    assert mask.shape == picture.shape
    assert mask.sum() == 3 * 10 * 7 == mask[2:5, 5:15, 3:10].sum()


def test_a_view_or_a_region_beside_the_volume_is_told() -> None:
    picture = Picture.of(add_volume(noisy()))
    with pytest.raises(Problem, match="slice view Red, found none"):
        arguments(picture, choice(scope=Scope.SLICE), spatial_dims=3)
    add_view((5, 6, 700), (0, 0, 1))
    with pytest.raises(Problem, match="scroll to a slice of the volume"):
        arguments(picture, choice(scope=Scope.SLICE), spatial_dims=3)
    with pytest.raises(Problem, match="found none; choose or draw an ROI"):
        arguments(picture, choice(scope=Scope.ROI), spatial_dims=3)
    with pytest.raises(Problem, match="beside it; move it onto the volume"):
        arguments(picture, choice(scope=Scope.ROI, roi=add_roi((90, 90, 90), (95, 95, 95), np.eye(4))), spatial_dims=3)


def no_volume() -> None:
    return None


def volume_without_image() -> Any:
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")


def volume_without_voxels() -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    node.SetAndObserveImageData(vtk.vtkImageData())
    return node


def vector_volume() -> Any:
    return add_volume(np.zeros((5, 6, 7, 2), np.float32), kind="vtkMRMLVectorVolumeNode")


def diffusion_series() -> Any:
    return add_volume(np.zeros((5, 6, 7, 9), np.float32), kind="vtkMRMLDiffusionWeightedVolumeNode")


def tensor_volume() -> Any:
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLDiffusionTensorVolumeNode", "Tensors")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_volume, "Expected a volume, found none"),
        (volume_without_image, "with image data, found none in Empty"),
        (volume_without_voxels, "with image data, found none in Empty"),
        (vector_volume, "one value a voxel, found 2 in Scan"),
        (diffusion_series, "found a series in Scan"),
        (tensor_volume, "found a series in Tensors"),
    ],
)
def test_what_is_no_single_volume_is_refused_in_one_sentence(make: Any, said: str) -> None:
    with pytest.raises(Problem, match=said):
        Picture.of(make())
