"""The panel after segmenting: corrections, versions, retraining, and models that are added."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import slicer

from tests.slicer.conftest import add_volume, noisy
from tests.slicer.qt_doubles import FileDialog
from tests.slicer.user import Slicer
from tests.small_models import small_model
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
    assert "Expected a model folder" in user.status


def test_another_data_folder_is_taken_up_at_once(user: Slicer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user.enter()
    FileDialog.answer = str(tmp_path / "elsewhere")
    monkeypatch.setenv("ULTRALIGHT_HOME", os.environ["ULTRALIGHT_HOME"])
    user.ui.homeButton.click()
    user.wait()
    assert user.ui.homeText.toolTip == str(tmp_path / "elsewhere")
    assert "small" not in [user.ui.modelSelector.itemText(n) for n in range(user.ui.modelSelector.count)]
