"""The panel as a user meets it: its .ui file, its buttons, and scenes that come and go."""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
import UltraLightSegmenter as entry
from UltraLightSegmenterLib.packages import Packages
from UltraLightSegmenterLib.parameters import Scope

from tests.slicer.conftest import add_volume, new_worker, noisy, until
from tests.slicer.doubles import FileDialog, ScriptedLoadableModuleWidget, tick_all
from tests.small_models import small_model
from ultralightunet.corrections import Store
from ultralightunet.models import Model, install_model


class Parent:
    """What Slicer gives a module's widget, and a module."""

    def __init__(self) -> None:
        self.isEntered = False


class Slicer:
    """The module in the hands of a user.

    Attributes:
        widget: the module's.
        ui: its parts.
        agrees: what the user answers to a question.
        missing: packages that Slicer lacks.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.agrees = True
        self.asked: list[str] = []
        self.missing: list[str] = []
        self.logic = entry._Logic(new_worker(), new_worker(), folder=folder)
        packages = Packages(self._answer, lambda requirements: self.missing.clear())
        packages.missing = lambda: list(self.missing)  # type: ignore[method-assign]
        monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", self._answer)
        self.widget = entry.UltraLightSegmenterWidget(Parent(), logic=self.logic, packages=packages)
        self.widget.setup()
        self.ui = self.widget.ui

    def _answer(self, question: str, *arguments: Any, **options: Any) -> bool:
        self.asked.append(question)
        return self.agrees

    @property
    def choice(self) -> Any:
        return self.widget.panel._choice

    @property
    def status(self) -> str:
        return str(self.ui.statusLabel.text)

    def enter(self) -> None:
        self.widget.parent.isEntered = True
        self.widget.enter()
        self.wait()

    def leave(self) -> None:
        self.widget.exit()
        self.widget.parent.isEntered = False

    def wait(self) -> None:
        """Until nothing is under way."""
        until(lambda: not self.logic.is_waiting, tick_all)

    def segment(self) -> Any:
        """Click Segment; the new segmentation."""
        self.ui.segmentButton.click()
        self.wait()
        assert self.choice.segmentation is not None, self.status
        return self.choice.segmentation


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model) -> Iterator[Slicer]:
    install_model(model.folder)
    made = Slicer(tmp_path, monkeypatch)
    yield made
    if made.widget.panel is not None:
        made.widget.cleanup()


def test_a_click_makes_a_segmentation_and_opens_the_editor_on_it(user: Slicer) -> None:
    volume = add_volume(noisy())
    user.enter()
    assert user.choice.volume is volume
    user.choice.model = "small@1.0.0"
    assert user.ui.modelSelector.itemText(user.ui.modelSelector.currentIndex) == "small"
    assert "a small model for tests" in user.ui.modelCard.text
    assert (user.ui.segmentButton.enabled, user.ui.cancelButton.enabled) == (True, False)
    user.ui.segmentButton.click()
    assert (user.ui.segmentButton.enabled, user.ui.cancelButton.enabled) == (False, True)
    user.wait()
    assert (user.ui.segmentButton.enabled, user.ui.cancelButton.enabled) == (True, False)
    assert user.status.startswith("Done in")
    assert re.search(r"part 1 [\d,.]+ ml", user.status)
    node = user.choice.segmentation
    voxels = np.count_nonzero(slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_1", volume))
    assert f"{node.GetSegmentation().GetSegment('Segment_1').GetName()} {voxels / 1000:,.1f} ml" in user.status
    assert node.GetSegmentation().GetSegmentIDs() == ("Segment_1", "Segment_2")
    editor = user.widget.panel.editor.widget
    assert editor.segmentationNode() is node
    assert editor.node.GetSourceVolumeNode() is volume
    assert user.ui.segmentationSelector.currentNode() is node
    assert "Done in" in user.ui.logText.plainText


def test_a_second_click_is_warm_and_overwrites_nothing(user: Slicer) -> None:
    add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    first = user.segment()
    process = user.logic.worker.process_id
    second = user.segment()
    assert second is not first
    assert second.GetName() != first.GetName()
    assert user.logic.worker.process_id == process


def test_a_click_without_a_volume_says_what_to_do(user: Slicer) -> None:
    user.enter()
    user.ui.segmentButton.click()
    assert user.status == "Expected a volume, found none; load one, or choose a sample in the module Sample Data"
    assert user.ui.segmentButton.enabled


def test_declining_the_packages_leaves_a_module_that_explains_itself(user: Slicer) -> None:
    user.missing.append("openvino>=2025.4")
    user.agrees = False
    add_volume(noisy())
    user.enter()
    assert user.ui.installFrame.visible
    assert "openvino" in user.ui.installLabel.text
    # The shipped models are listed and described before anything is installed.
    names = [user.ui.modelSelector.itemText(n) for n in range(user.ui.modelSelector.count)]
    assert "brain" in names
    assert not user.logic.worker.is_running
    user.ui.segmentButton.click()
    assert len(user.asked) == 1
    assert "are not installed. Click “Install packages”" in user.status
    assert user.ui.segmentButton.enabled
    user.agrees = True
    user.ui.installButton.click()
    user.wait()
    assert not user.ui.installFrame.visible
    user.choice.model = "small@1.0.0"
    user.segment()


def test_cancel_stops_and_says_so(user: Slicer) -> None:
    add_volume(noisy((96, 96, 96)))
    user.enter()
    user.choice.model, user.choice.step = "small@1.0.0", 0.1
    user.ui.segmentButton.click()
    until(lambda: user.ui.progressBar.value, tick_all)
    user.ui.cancelButton.click()
    user.wait()
    assert user.status == "Cancelled; nothing was added"
    assert user.choice.segmentation is None
    assert user.ui.segmentButton.enabled


def test_a_killed_process_is_told_and_the_next_click_works(user: Slicer) -> None:
    volume = add_volume(noisy((96, 96, 96)))
    user.enter()
    user.choice.model, user.choice.step = "small@1.0.0", 0.1
    user.ui.segmentButton.click()
    until(lambda: user.ui.progressBar.value, tick_all)
    pid = user.logic.worker.process_id
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    user.wait()
    assert "ended unexpectedly" in user.status
    slicer.util.updateVolumeFromArray(volume, noisy())
    user.segment()


def test_a_scene_that_is_closed_during_a_run_leaves_a_working_module(user: Slicer) -> None:
    add_volume(noisy((96, 96, 96)))
    user.enter()
    user.choice.model, user.choice.step = "small@1.0.0", 0.1
    user.ui.segmentButton.click()
    until(lambda: user.ui.progressBar.value, tick_all)
    slicer.mrmlScene.Clear()
    assert user.status == "The scene was closed while a volume was being segmented; nothing was added"
    assert user.choice is not None
    add_volume(noisy())
    user.widget.panel.use_scene()
    user.choice.model = "small@1.0.0"
    user.segment()


def test_a_volume_that_is_removed_during_a_run_leaves_a_working_module(user: Slicer) -> None:
    volume = add_volume(noisy((96, 96, 96)))
    user.enter()
    user.choice.model, user.choice.step = "small@1.0.0", 0.1
    user.ui.segmentButton.click()
    until(lambda: user.ui.progressBar.value, tick_all)
    slicer.mrmlScene.RemoveNode(volume)
    assert user.status == "Scan was removed while it was being segmented; nothing was added"
    user.choice.volume = add_volume(noisy())
    user.segment()


def test_what_is_chosen_is_kept_in_the_scene_and_comes_back_with_it(user: Slicer, tmp_path: Path) -> None:
    add_volume(noisy())
    user.enter()
    user.choice.model, user.choice.scope = "small@1.0.0", Scope.ROI
    user.ui.stepBox.value = 0.8
    user.ui.fillCheckBox.checked = True
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear(True)
    assert user.ui.stepBox.value == 0.5
    assert slicer.mrmlScene.Import()
    assert user.choice.step == user.ui.stepBox.value == 0.8
    assert user.choice.scope is Scope.ROI
    assert user.ui.fillCheckBox.checked
    assert user.choice.model == "small@1.0.0"


def test_a_model_that_a_scene_asks_for_is_found_once_the_models_are_listed(user: Slicer) -> None:
    user.enter()
    user.choice.model = "small@1.0.0"
    user.leave()
    user.widget.panel.models.offer([], "")
    user.enter()
    assert user.choice.model == "small@1.0.0"
    user.choice.model = "gone@1.0.0"
    user.leave()
    user.enter()
    assert user.choice.model == user.widget.panel.models.model["id"] == user.widget.panel.models.ids[0]


def test_only_what_a_scope_needs_is_shown(user: Slicer) -> None:
    user.enter()
    shown = []
    for index in range(3):
        user.ui.scopeSelector.currentIndex = index
        shown.append((user.ui.viewSelector.visible, user.ui.roiSelector.visible))
    assert shown == [(False, False), (True, False), (False, True)]


def test_leaving_lets_go_of_the_scene_and_coming_back_takes_it_up(user: Slicer) -> None:
    add_volume(noisy())
    user.enter()
    user.leave()
    assert user.choice is None
    user.enter()
    user.choice.model = "small@1.0.0"
    user.segment()


def test_cleaning_up_stops_the_process_and_detaches_the_editor(user: Slicer) -> None:
    add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    user.segment()
    editor = user.widget.panel.editor.widget
    assert user.logic.worker.is_running
    user.widget.cleanup()
    assert not user.logic.worker.is_running
    assert (editor.node, editor.scene) == (None, None)
    until(lambda: user.logic.worker._leaving[0].poll() is not None, lambda: None)
    # The scene goes on without the module.
    slicer.mrmlScene.Clear()


def test_a_reloaded_module_is_made_of_new_parts_and_finds_its_scene(user: Slicer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    volume = add_volume(noisy())
    user.enter()
    user.choice.model, user.choice.scope = "small@1.0.0", Scope.ROI
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "UltraLightSegmenterLib"}
    again: dict[str, Any] = {}

    def reload(widget: Any) -> None:
        """What Slicer does, in its order."""
        again.update(runpy.run_path(entry.__file__))
        widget.cleanup()

    monkeypatch.setattr(ScriptedLoadableModuleWidget, "onReload", reload, raising=False)
    try:
        user.widget.onReload()
        assert not user.logic.worker.is_running
        assert sys.modules["UltraLightSegmenterLib.panel"] is not before["UltraLightSegmenterLib.panel"]
        logic = again["_Logic"](new_worker(), new_worker(), folder=tmp_path)
        widget = again["UltraLightSegmenterWidget"](Parent(), logic=logic)
        widget.setup()
        widget.enter()
        until(lambda: not logic.is_waiting, tick_all)
        choice = widget.panel._choice
        assert (choice.volume, choice.model, choice.scope.name) == (volume, "small@1.0.0", "ROI")
        widget.cleanup()
    finally:
        sys.modules.update(before)


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


def test_slicer_is_told_what_the_module_is() -> None:
    parent = SimpleNamespace()
    entry.UltraLightSegmenter(parent)
    assert parent.title == "UltraLight Segmenter"
    assert parent.categories == ["Segmentation"]
    assert "Research use only. Not a medical device" in parent.helpText
    assert "MK-UNet" in parent.acknowledgementText


def test_every_part_of_the_panel_that_a_user_can_touch_has_a_tooltip(user: Slicer) -> None:
    kinds = ("QPushButton", "QComboBox", "QCheckBox", "QDoubleSpinBox", "qMRMLNodeComboBox", "QPlainTextEdit", "QProgressBar")
    assert [name for name, part in vars(user.ui).items() if part._kind in kinds and not part.toolTip] == []
    assert "Research use only" in user.ui.noticeLabel.text
