"""The panel after segmenting: corrections, versions, retraining, and models that are added."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib import settings

from tests.slicer.conftest import add_volume, noisy
from tests.slicer.qt_doubles import FileDialog
from tests.slicer.test_opening import stored
from tests.slicer.test_references import import_label_map
from tests.slicer.test_segmentations import some_labels
from tests.slicer.user import Slicer
from tests.small_models import small_model
from ultralightunet import Volume
from ultralightunet.corrections import Store
from ultralightunet.models import install_model


def test_a_correction_is_saved_exported_and_counted(user: Slicer, tmp_path: Path, ultralight_home: Path) -> None:
    volume = add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    user.wait()
    assert "No corrections yet" in user.ui.storeStatus.text
    assert not user.ui.exportButton.enabled
    node = user.segment()
    painted = np.zeros((20, 24, 28), np.uint8)
    painted[3:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "Segment_1", volume)
    user.ui.saveButton.click()
    user.wait()
    assert "Saved as" in user.ui.keepStatus.text
    assert "1 corrected image:" in user.ui.storeStatus.text
    (revision,) = Store(ultralight_home / "stores" / "small").cases()
    assert revision.model == "small@1.0.0"
    FileDialog.answer = str(tmp_path / "exported")
    user.ui.formatSelector.currentIndex = [user.ui.formatSelector.itemText(n) for n in range(6)].index("NIfTI")
    user.ui.exportButton.click()
    user.wait()
    assert "Exported 1 case(s)" in user.ui.keepStatus.text
    assert list((tmp_path / "exported").rglob("*.nii.gz"))


def test_versions_are_shown_and_can_be_chosen(user: Slicer, tmp_path: Path) -> None:
    install_model(small_model(tmp_path / "second", version="1.1.0", seed=9).folder)
    user.enter()
    user.choice.model = "small@1.1.0"
    user.wait()
    shown = [user.ui.versionSelector.itemText(n) for n in range(user.ui.versionSelector.count)]
    assert shown == ["small@1.0.0", "small@1.1.0 (in use)"]
    user.ui.versionSelector.currentIndex = 0
    user.ui.useButton.click()
    user.wait()
    assert user.choice.model == "small@1.0.0"
    assert user.ui.versionSelector.itemText(0) == "small@1.0.0 (in use)"


def test_a_retraining_that_cannot_begin_is_told_and_the_button_comes_back(user: Slicer, monkeypatch: pytest.MonkeyPatch) -> None:
    user.enter()
    user.choice.model = "small@1.0.0"
    user.wait()
    user.ui.retrainButton.click()
    assert not user.ui.retrainButton.enabled
    assert user.ui.stopButton.enabled
    user.wait()
    assert "xpected" in user.ui.learnStatus.text
    assert user.ui.retrainButton.enabled
    assert not user.logic.trainer.is_running


def test_the_folder_of_other_images_reaches_the_retraining(user: Slicer, tmp_path: Path) -> None:
    add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    user.wait()
    user.segment()
    user.choice.isRight = True
    user.ui.saveButton.click()
    user.wait()
    assert user.ui.imagesText.text == "none"
    assert not user.ui.noImagesButton.enabled
    folder = tmp_path / "others"
    folder.mkdir()
    FileDialog.answer = str(folder)
    user.ui.imagesButton.click()
    assert user.ui.imagesText.toolTip == str(folder)
    assert user.ui.noImagesButton.enabled
    # Only whoever was told of the folder can miss it.
    folder.rmdir()
    user.ui.retrainButton.click()
    user.wait()
    assert f"expected images at {folder}, found nothing" in user.ui.learnStatus.text.replace("Expected", "expected")
    user.ui.noImagesButton.click()
    assert user.ui.imagesText.text == "none"


@pytest.mark.parametrize("agrees", [True, False])
def test_where_too_few_cases_decide_the_user_does(user: Slicer, agrees: bool, tmp_path: Path) -> None:
    install_model(small_model(tmp_path / "second", version="1.0.0+r1", seed=9, parent="small@1.0.0").folder)
    user.enter()
    user.choice.model = "small@1.0.0"
    user.wait()
    user.agrees = agrees
    facts = {
        "model": "small@1.0.0+r1",
        "parent": "small@1.0.0",
        "decision": "ask",
        "sentence": "Too few cases to decide. Use the new version?",
    }
    panel = user.widget.panel
    panel._try(lambda: panel.learning._done(facts))
    user.wait()
    assert user.asked == ["Too few cases to decide.\n\nUse small@1.0.0+r1 from now on?"]
    assert user.choice.model == ("small@1.0.0+r1" if agrees else "small@1.0.0")
    assert user.ui.learnStatus.text.endswith(
        "is in use now" if agrees else "small@1.0.0 stays in use; small@1.0.0+r1 is among the versions"
    )


def test_a_model_folder_can_be_added_and_a_wrong_one_is_told(user: Slicer, tmp_path: Path) -> None:
    user.enter()
    FileDialog.answer = str(small_model(tmp_path / "mine", name="mine").folder)
    user.ui.addModelButton.click()
    user.wait()
    assert user.choice.model == "mine@1.0.0"
    FileDialog.answer = str(tmp_path)
    user.ui.addModelButton.click()
    user.wait()
    assert "expected a model folder" in user.status.casefold()


def test_another_data_folder_is_taken_up_at_once(user: Slicer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user.enter()
    FileDialog.answer = str(tmp_path / "elsewhere")
    monkeypatch.setenv("ULTRALIGHT_HOME", os.environ["ULTRALIGHT_HOME"])
    user.ui.homeButton.click()
    user.wait()
    assert user.ui.homeText.toolTip == str(tmp_path / "elsewhere")
    assert "small" not in [user.ui.modelSelector.itemText(n) for n in range(user.ui.modelSelector.count)]


def test_a_data_folder_is_remembered_by_slicer(user: Slicer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user.enter()
    FileDialog.answer = str(tmp_path / "elsewhere")
    monkeypatch.setenv("ULTRALIGHT_HOME", os.environ["ULTRALIGHT_HOME"])
    user.ui.homeButton.click()
    user.wait()
    # As Slicer starts the next time.
    monkeypatch.delenv("ULTRALIGHT_HOME")
    settings.use_data_folder()
    assert os.environ["ULTRALIGHT_HOME"] == str(tmp_path / "elsewhere")
    # Whoever set it before Slicer started had a reason.
    monkeypatch.setenv("ULTRALIGHT_HOME", str(tmp_path))
    settings.use_data_folder()
    assert os.environ["ULTRALIGHT_HOME"] == str(tmp_path)


def test_a_data_folder_that_is_changed_during_a_run_leaves_the_run_alone(user: Slicer, tmp_path: Path) -> None:
    add_volume(noisy((96, 96, 96)))
    user.enter()
    user.choice.model = "small@1.0.0"
    user.choice.step = 0.1
    user.ui.segmentButton.click()
    home = os.environ["ULTRALIGHT_HOME"]
    FileDialog.answer = str(tmp_path / "elsewhere")
    user.ui.homeButton.click()
    assert user.status.startswith("Expected nothing under way")
    assert os.environ["ULTRALIGHT_HOME"] == home
    assert (user.ui.segmentButton.enabled, user.ui.cancelButton.enabled) == (False, True)
    user.ui.cancelButton.click()
    assert (user.ui.segmentButton.enabled, user.ui.cancelButton.enabled) == (True, False)
    user.choice.step = 0.5
    assert user.segment() is not None


def test_the_store_and_the_threads_are_remembered_by_slicer(user: Slicer, tmp_path: Path) -> None:
    user.enter()
    user.choice.model = "small@1.0.0"
    FileDialog.answer = str(tmp_path / "our store")
    user.ui.storeButton.click()
    user.ui.threadsBox.value = 3
    user.wait()
    assert settings.store("small") == str(tmp_path / "our store")
    assert settings.store("brain") == ""
    assert settings.threads() == 3
    assert user.ui.storeText.toolTip == str(tmp_path / "our store")


def test_dicom_segmentations_ask_for_the_series_that_the_images_came_from(user: Slicer, tmp_path: Path, ultralight_home: Path) -> None:
    user.enter()
    user.choice.model = "small@1.0.0"
    stored(ultralight_home / "stores" / "small", Volume(noisy(), np.eye(4)))
    user.widget.panel._show_store()
    user.wait()
    assert not user.ui.dicomButton.visible
    user.ui.formatSelector.currentIndex = [user.ui.formatSelector.itemText(n) for n in range(6)].index("DICOM SEG")
    assert user.ui.dicomButton.visible
    FileDialog.answer = str(tmp_path / "exported")
    user.ui.exportButton.click()
    assert user.ui.keepStatus.text.endswith("choose its folder under “DICOM series”")
    FileDialog.answer = str(tmp_path / "series")
    user.ui.dicomButton.click()
    assert user.ui.dicomText.toolTip == str(tmp_path / "series")
    FileDialog.answer = str(tmp_path / "exported")
    user.ui.exportButton.click()
    user.wait()
    assert user.ui.keepStatus.text.startswith(f"Expected a folder with DICOM series, found none at {tmp_path / 'series'}")
    assert "--" not in user.ui.keepStatus.text


@pytest.mark.parametrize("agrees", [True, False])
def test_labels_that_only_their_values_name_are_kept_if_the_user_agrees(user: Slicer, agrees: bool, ultralight_home: Path) -> None:
    add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    user.wait()
    user.choice.segmentation = import_label_map(some_labels(), np.eye(4))
    user.agrees = agrees
    user.ui.saveButton.click()
    user.wait()
    assert "Label_1 as part 1, Label_2 as part 2" in user.asked[-1]
    if agrees:
        (revision,) = Store(ultralight_home / "stores" / "small").cases()
        assert [entry.name for entry in revision.classes] == ["background", "part 1", "part 2"]
        np.testing.assert_array_equal(revision.labels().labels, some_labels())
    else:
        assert user.ui.keepStatus.text.startswith("Nothing was saved: call each segment as its class is called")
        assert user.ui.saveButton.enabled
        assert not (ultralight_home / "stores" / "small").exists()
