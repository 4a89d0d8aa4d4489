"""Regions: an ROI that was just created, one that fits the volume, and one that is empty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.parameters import Checked, Scope
from UltraLightSegmenterLib.pictures import Picture
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.regions import fit

from tests.slicer.conftest import add_transform, add_volume, noisy, rotation
from tests.slicer.test_pictures import GRIDS
from tests.slicer.user import Slicer

WHOLE = [[0, 20], [0, 24], [0, 28]]


@pytest.mark.parametrize("turn", [None, rotation(25, 0)], ids=["free", "rotated parent"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_region_that_fits_holds_every_voxel_and_no_more(name: str, turn: Any) -> None:
    volume = add_volume(noisy(), GRIDS[name])
    if turn is not None:
        volume.SetAndObserveTransformNodeID(add_transform(turn).GetID())
    picture = Picture.of(volume)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    fit(roi, picture)
    assert picture.box(roi) == WHOLE
    np.testing.assert_allclose(sorted(roi.GetSize()), sorted(picture.spacing * (28, 24, 20)))
    # Slicer shows no ROI without control points.
    assert roi.GetNumberOfControlPoints() == 1
    # Drag both handles of the shortest side halfway in.
    side = int(np.argmin(roi.GetSize()))
    roi.SetSize(*(length / 2 if axis == side else length for axis, length in enumerate(roi.GetSize())))
    shorter = [stop - start for start, stop in picture.box(roi)]
    assert sum(a != b for a, b in zip(shorter, (20, 24, 28), strict=True)) == 1
    fit(roi, picture)
    assert picture.box(roi) == WHOLE


def test_an_empty_region_is_refused() -> None:
    picture = Picture.of(add_volume(noisy()))
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    with pytest.raises(Problem, match="found that R is empty; click “Fit to volume”"):
        picture.box(roi)
    fit(roi, picture)
    roi.SetSize(10.0, 0.0, 10.0)
    with pytest.raises(Problem, match="found that R is empty"):
        picture.box(roi)
    with pytest.raises(Problem, match="Expected a region, found none"):
        fit(None, picture)


def test_a_region_that_is_created_in_the_panel_has_handles_to_drag(user: Slicer) -> None:
    volume = add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    user.choice.scope = Scope.ROI
    roi = user.ui.roiSelector.addNode()
    assert user.choice.roi is roi
    assert Picture.of(volume).box(roi) == WHOLE
    roi.SetSize(10.0, 10.0, 10.0)
    user.ui.fitButton.click()
    assert Picture.of(volume).box(roi) == WHOLE


def test_an_empty_region_counts_for_nothing_checked(user: Slicer) -> None:
    add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    user.segment()
    user.choice.checked = Checked.ROI
    user.choice.isRight = True
    roi = user.ui.roiSelector.addNode()
    roi.SetSize(0.0, 0.0, 0.0)
    user.ui.saveButton.click()
    assert "is empty; click “Fit to volume”" in user.ui.keepStatus.text
