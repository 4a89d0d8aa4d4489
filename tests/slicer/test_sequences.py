"""Volumes that show one frame of a sequence: labels stay with the frame that they were made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.correction import Correction
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic
from UltraLightSegmenterLib.pictures import Picture
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.references import reference_of
from UltraLightSegmenterLib.segmentations import labels_of
from UltraLightSegmenterLib.sequences import frame_of

from tests.slicer.conftest import Answers, add_volume, noisy
from tests.slicer.user import Slicer
from ultralightunet.corrections import Store
from ultralightunet.models import Model


class Series:
    """Three frames of a sequence, the last of them elsewhere, and the volume that shows one of them.

    Attributes:
        volume: the proxy.
    """

    def __init__(self) -> None:
        self.browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "4D")
        for number in range(3):
            frame = add_volume(noisy(seed=number), np.diag([1.0 + (number == 2), 1, 2, 1]))
            sequence.SetDataNodeAtValue(frame, str(number))
            slicer.mrmlScene.RemoveNode(frame)
        self.browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        self.show(0)
        self.volume = self.browser.GetProxyNode(sequence)

    def show(self, number: int) -> None:
        """As browsing does."""
        self.browser.SetSelectedItemNumber(number)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self.browser)


@pytest.fixture
def series() -> Series:
    return Series()


def segment(logic: UltraLightSegmenterLogic, model: Model, volume: Any) -> Any:
    answers = Answers()
    logic.segment(volume, answers.listener, model=str(model.folder))
    return answers.wait(logic.poll)


def test_a_frame_is_named(series: Series) -> None:
    series.show(1)
    assert str(frame_of(series.volume)) == "frame 2 of 3"
    assert frame_of(add_volume(noisy())) is None


@pytest.mark.parametrize("other", [1, 2], ids=["same grid", "other grid"])
def test_browsing_during_a_run_is_told_and_the_labels_stay_with_their_frame(
    other: int, series: Series, logic: UltraLightSegmenterLogic, model: Model
) -> None:
    expected = segment(logic, model, series.volume)
    assert expected["note"] == ""
    answers = Answers()
    logic.segment(series.volume, answers.listener, model=str(model.folder))
    series.show(other)
    found = answers.wait(logic.poll)
    assert found["note"] == "These labels belong to frame 1 of 3, and 4D shows another by now: browse back to see them over their image"
    assert found["node"].GetName().startswith("4D frame 1 of 3 - small")
    series.show(0)
    here = Picture.of(series.volume)
    np.testing.assert_array_equal(*(labels_of(answer["node"], here, found["classes"]) for answer in (found, expected)))


def test_labels_are_kept_with_their_own_frame_only(series: Series, logic: UltraLightSegmenterLogic, model: Model, tmp_path: Path) -> None:
    node = segment(logic, model, series.volume)["node"]
    correction = Correction(node, str(tmp_path / "store"), "small@1.0.0", confirmed=True, volume=series.volume)
    series.show(1)
    with pytest.raises(Problem, match="Expected frame 1 of 3, which 4D frame 1 of 3 - small was made for, found that 4D shows another"):
        logic.save_correction(correction, Answers().listener)
    assert not (tmp_path / "store").exists()
    series.show(0)
    answers = Answers()
    logic.save_correction(correction, answers.listener)
    assert answers.wait(logic.poll)["image"] == "4D (frame 1 of 3)"
    np.testing.assert_array_equal(Store(tmp_path / "store").cases()[0].image().array, noisy(seed=0))


@pytest.mark.parametrize("only_this", [True, False])
def test_the_user_is_asked_whether_all_frames_are_meant(only_this: bool, series: Series, user: Slicer) -> None:
    series.show(1)
    user.enter()
    user.choice.volume = series.volume
    user.choice.model = "small@1.0.0"
    user.agrees = only_this
    user.ui.segmentButton.click()
    user.wait()
    assert user.asked[0].startswith("4D shows frame 2 of 3 of a sequence. Segment only this one?")
    made = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert [node.GetName() for node in made] == [f"4D frame {n} of 3 - small" for n in ([2] if only_this else [1, 2, 3])]
    # What is shown is chosen, and nothing lies over it.
    assert user.choice.segmentation.GetName() == "4D frame 2 of 3 - small"
    assert [node.GetName() for node in made if node.GetDisplayNode().GetVisibility()] == ["4D frame 2 of 3 - small"]
    assert (user.ui.segmentButton.enabled, user.ui.cancelButton.enabled) == (True, False)
    for node in made:
        shown = int(node.GetName().split()[2]) - 1
        series.show(shown)
        assert reference_of(node, None).node is series.volume
        np.testing.assert_array_equal(reference_of(node, None).array, noisy(seed=shown))


def test_cancel_ends_all_frames(series: Series, user: Slicer) -> None:
    user.enter()
    user.choice.volume = series.volume
    user.choice.model = "small@1.0.0"
    user.agrees = False
    user.ui.segmentButton.click()
    user.ui.cancelButton.click()
    user.wait()
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert user.status == "Cancelled; nothing was added"
