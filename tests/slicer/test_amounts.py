"""How much was found, in the world and in pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from UltraLightSegmenterLib.amounts import amounts
from UltraLightSegmenterLib.pictures import Picture

from tests.slicer.conftest import add_transform, add_volume, noisy, rotation
from tests.slicer.test_segmentations import CLASSES, some_labels


def answer(labels: Any, voxel_ml: float) -> dict[str, Any]:
    counts = np.bincount(labels.ravel(), minlength=3)
    return {"classes": CLASSES, "volumes_ml": {str(index): float(counts[index]) * voxel_ml for index in (1, 2)}}


def test_a_transform_that_scales_scales_the_millilitres() -> None:
    labels = some_labels()
    volume = add_volume(noisy(), np.diag([1.0, 1, 2, 1]))
    liver, tumour = np.bincount(labels.ravel())[1:] * 0.002
    assert amounts(labels, Picture.of(volume), answer(labels, 0.002)) == f"liver {liver:,.1f} ml, tumour {tumour:,.1f} ml"
    volume.SetAndObserveTransformNodeID(add_transform(rotation(30) @ np.diag([2.0, 2, -1, 1])).GetID())
    assert amounts(labels, Picture.of(volume), answer(labels, 0.002)) == f"liver {4 * liver:,.1f} ml, tumour {4 * tumour:,.1f} ml"


def test_under_a_transform_that_bends_nothing_is_said() -> None:
    volume = add_volume(noisy())
    bends = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bends")
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    for name in ("SetSourceLandmarks", "SetTargetLandmarks"):
        landmarks = vtk.vtkPoints()
        for point in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (5, 5, 5 if name == "SetSourceLandmarks" else 8)):
            landmarks.InsertNextPoint(point)
        getattr(spline, name)(landmarks)
    bends.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(bends.GetID())
    assert amounts(some_labels(), Picture.of(volume), answer(some_labels(), 0.001)) == ""


def test_a_picture_has_pixels() -> None:
    labels = some_labels()[6:7]
    volume = add_volume(noisy((1, 24, 28)))
    assert amounts(labels, Picture.of(volume), answer(labels, 0.001)) == "liver 72 pixels"
