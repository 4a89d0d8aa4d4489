"""A stored case comes back into the scene, and is corrected further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.correction import Correction
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic
from UltraLightSegmenterLib.pictures import Picture
from UltraLightSegmenterLib.segmentations import classes_of, labels_of, prediction_of, volume_of

from tests.slicer.conftest import Answers, add_volume, noisy
from tests.slicer.test_pictures import GRIDS
from tests.slicer.test_references import TABLE
from tests.slicer.test_segmentations import some_labels
from tests.slicer.user import Slicer
from ultralightunet import Segmentation, Volume
from ultralightunet.corrections import Store

PICTURE = np.random.default_rng(4).integers(0, 255, (24, 28), np.uint8)
COLOURS = np.random.default_rng(5).integers(0, 255, (24, 28, 3), np.uint8)

IMAGES = {
    "volume": Volume(noisy(), GRIDS["oblique"]),
    "picture": Volume(PICTURE, np.eye(4), has_spacing=False),
    "colour": Volume(COLOURS, np.eye(4), 3, has_spacing=False),
    "double": Volume(noisy() / 3.0, GRIDS["axial"]),
}


def stored(folder: Path, image: Volume, *, has_prediction: bool = True) -> Any:
    """A revision in a store, as napari leaves it."""
    labels = some_labels() if image.spatial_dims == 3 else some_labels()[9]
    said = np.where(labels == 2, 0, labels).astype(np.uint8)
    prediction = Segmentation(said, image.affine, TABLE, image.has_spacing, model="small@1.0.0") if has_prediction else None
    return Store(folder).add(image, Segmentation(labels, image.affine, TABLE, image.has_spacing), prediction, classes=TABLE)


def brought_back(logic: UltraLightSegmenterLogic, revision: Any) -> Any:
    answers = Answers()
    logic.open_case(str(revision.folder.parents[2]), revision.name, answers.listener)
    return answers.wait(logic.poll)["node"]


@pytest.mark.parametrize("kind", IMAGES)
def test_a_case_comes_back_as_it_was_and_saving_it_again_is_another_revision_of_it(
    kind: str, logic: UltraLightSegmenterLogic, tmp_path: Path
) -> None:
    image = IMAGES[kind]
    revision = stored(tmp_path / "store", image)
    node = brought_back(logic, revision)
    volume = volume_of(node)
    picture = Picture.of(volume)
    is_flat = image.spatial_dims == 2
    array = revision.image().array
    np.testing.assert_array_equal(picture.array, array[np.newaxis] if is_flat else array)
    np.testing.assert_allclose(picture.affine, image.affine, atol=1e-6)
    labels = labels_of(node, picture, classes_of(node))
    np.testing.assert_array_equal(labels[0] if is_flat else labels, revision.labels().labels)
    said = prediction_of(node, picture)
    np.testing.assert_array_equal(said[0] if is_flat else said, revision.prediction().labels)
    painted = slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_2", volume).copy()
    painted[:, :3] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "Segment_2", volume)
    answers = Answers()
    logic.save_correction(Correction(node, str(tmp_path / "store"), "small@1.0.0"), answers.listener)
    assert answers.wait(logic.poll)["case"] == f"{revision.case}/0002"
    again = Store(tmp_path / "store").cases()
    assert [found.name for found in again] == [f"{revision.case}/0002"]
    assert again[0].role == revision.role
    assert again[0].labels().labels.shape == revision.shape
    assert np.count_nonzero(again[0].labels().labels == 2) > np.count_nonzero(revision.labels().labels == 2)


def test_a_case_that_nobody_predicted_comes_back_without_a_prediction(logic: UltraLightSegmenterLogic, tmp_path: Path) -> None:
    node = brought_back(logic, stored(tmp_path / "store", IMAGES["volume"], has_prediction=False))
    assert prediction_of(node, Picture.of(volume_of(node))) is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0


def test_a_case_that_is_gone_is_told(logic: UltraLightSegmenterLogic, tmp_path: Path, answers: Answers) -> None:
    stored(tmp_path / "store", IMAGES["volume"])
    logic.open_case(str(tmp_path / "store"), "0123456789abcdef/0001", answers.listener)
    assert "found no 0123456789abcdef/0001; look at the list again" in answers.wait_for_failure(logic.poll)


def test_an_image_that_slicer_cannot_hold_is_told(logic: UltraLightSegmenterLogic, tmp_path: Path, answers: Answers) -> None:
    revision = stored(tmp_path / "store", Volume(noisy().astype(np.int64), np.eye(4)))
    logic.open_case(str(tmp_path / "store"), revision.name, answers.listener)
    assert "Expected an image that Slicer can hold, found int64" in answers.wait_for_failure(logic.poll)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_the_panel_lists_what_is_kept_and_opens_it(user: Slicer, ultralight_home: Path) -> None:
    add_volume(noisy(seed=9))
    user.enter()
    assert not user.ui.openButton.enabled
    revision = stored(ultralight_home / "stores" / "small", IMAGES["volume"])
    user.choice.model = "small@1.0.0"
    user.widget.panel._show_store()
    user.wait()
    assert [user.ui.caseSelector.itemText(n) for n in range(user.ui.caseSelector.count)] == [revision.name]
    user.ui.openButton.click()
    user.wait()
    assert user.ui.keepStatus.text.startswith(f"Opened {revision.case} - corrected")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(user.choice.volume), noisy())
    assert volume_of(user.choice.segmentation) is user.choice.volume
