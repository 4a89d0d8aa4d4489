"""The panel as a user meets it: segmenting, its .ui file, and scenes that come and go."""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
import UltraLightSegmenter as entry
from UltraLightSegmenterLib.parameters import Scope

from tests.slicer.conftest import add_volume, new_worker, noisy, until
from tests.slicer.doubles import ScriptedLoadableModuleWidget
from tests.slicer.qt_doubles import tick_all
from tests.slicer.user import Parent, Slicer
from tests.small_models import small_model
from ultralightunet.models import install_model


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


def test_a_run_that_ends_while_another_module_is_shown_is_chosen_on_return(user: Slicer) -> None:
    add_volume(noisy())
    user.enter()
    user.choice.model = "small@1.0.0"
    user.ui.segmentButton.click()
    user.leave()
    user.wait()
    user.enter()
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert user.choice.segmentation is node
    assert user.ui.segmentationSelector.currentNode() is node
    assert user.widget.panel.editor.widget.segmentationNode() is node


@pytest.mark.parametrize("agrees", [True, False])
def test_an_image_of_another_kind_is_doubted_before_the_run(user: Slicer, agrees: bool) -> None:
    volume = add_volume(noisy())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    hierarchy.SetItemAttribute(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName(), "CT")
    user.enter()
    user.choice.model = "small@1.0.0"
    user.agrees = agrees
    user.ui.segmentButton.click()
    user.wait()
    assert user.asked[-1].startswith("Expected MR images for small, found CT")
    assert user.asked[-1].endswith("Segment it all the same?")
    assert (user.choice.segmentation is not None) is agrees
    assert user.status.startswith("Done in") if agrees else user.status == "Cancelled; nothing was added"
    assert user.ui.segmentButton.enabled


def test_a_volume_that_no_such_structure_has_is_told(user: Slicer, tmp_path: Path) -> None:
    install_model(small_model(tmp_path / "sure", name="sure", seed=3, plausible_ml={1: (5000.0, 6000.0)}).folder)
    add_volume(noisy())
    user.enter()
    user.choice.model = "sure@1.0.0"
    user.segment()
    assert "Expected 5000 to 6000 ml of part 1, found" in user.status


def test_what_the_module_says_is_in_slicers_log_too(user: Slicer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        user.enter()
        user.ui.segmentButton.click()
    assert user.status in caplog.messages
