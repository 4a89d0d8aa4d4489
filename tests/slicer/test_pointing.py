"""Pointing in the panel: tools, marks, the preview, and what the process answers."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic
from UltraLightSegmenterLib.pictures import Picture
from UltraLightSegmenterLib.selftest import point_at_a_ball

from tests.command import Command
from tests.io_files import write_nii
from tests.slicer.conftest import add_transform, noisy, rotation
from tests.slicer.pointer import ball, interaction, look_from, place, point, scan, voxels_of
from tests.slicer.test_sequences import Series
from tests.slicer.user import Slicer
from ultralightunet import Box, Point, PromptSession, Stroke, Volume
from ultralightunet.io import read_image

MIDDLE = (2, 20, 24)


def shown(user: Slicer) -> Any:
    """What the preview shows of the object, bool on the volume's grid, or None."""
    node = user.widget.panel.point_at.preview.node
    if node is None:
        return None
    return voxels_of(node, "Object", user.choice.volume)


def marks() -> list[tuple[str, int]]:
    """Kind and number of the control points of what was placed, without what is in hand."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsNode")
    return [(node.GetMarkupType(), node.GetNumberOfDefinedControlPoints()) for node in nodes if node.GetNumberOfDefinedControlPoints()]


def test_all_prompts_give_the_masks_of_python_and_of_the_command_line(user: Slicer, ultralight: Command, tmp_path: Path) -> None:
    """The volume lies askew, under a transform, and Slicer stores its slices in the other order: none of that changes a voxel."""
    affine = rotation(20) @ np.diag([1.0, 1.0, 2.0, 1.0]) @ np.array([[-1, 0, 0, 5], [0, 1, 0, 3], [0, 0, 1, 2], [0, 0, 0, 1.0]])
    path = write_nii(tmp_path / "ball.nii.gz", ball(), affine)
    image = read_image(path)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Ball")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(volume)
    volume.SetAndObserveTransformNodeID(add_transform(rotation(30, axis=0)).GetID())
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume)[::-1], image.array)

    def found() -> Any:
        """The preview in the order of the file."""
        return shown(user)[::-1]

    user.enter()
    session = PromptSession(image)
    point(user, volume, (3, 20, 24))
    np.testing.assert_array_equal(found(), session.add(Point((1, 20, 24))))
    assert session.mask.any()
    point(user, volume, (3, 20, 31), button="pointRemoveButton")
    np.testing.assert_array_equal(found(), session.add(Point((1, 20, 31), positive=False)))
    done = ultralight("prompt", path, "-o", tmp_path / "labels.nii.gz", "--point", "1,20,24", "--not-point", "1,20,31")
    assert (done.code, done.err) == (0, "")
    np.testing.assert_array_equal(found(), np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj).T == 1)
    point(user, volume, (2, 12, 24), (2, 20, 24), button="strokeAddButton")
    np.testing.assert_array_equal(found(), session.add(Stroke.along([(2, 12, 24), (2, 20, 24)])))
    mask = session.mask.copy()
    point(user, volume, (2, 22, 14), (2, 30, 18), button="boxRemoveButton")
    (k0, k1), *rest = Picture.of(volume).box(slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")[0])
    np.testing.assert_array_equal(found(), session.add(Box([(5 - k1, 5 - k0), *rest], positive=False)))
    assert not np.array_equal(mask, session.mask)
    assert sorted(marks()) == [("Curve", 2), ("Fiducial", 1), ("Fiducial", 1), ("ROI", 1)]
    user.ui.undoPromptButton.click()
    user.wait()
    np.testing.assert_array_equal(found(), session.undo())
    np.testing.assert_array_equal(found(), mask)
    assert sorted(marks()) == [("Curve", 2), ("Fiducial", 1), ("Fiducial", 1)]
    user.ui.takeOverButton.click()
    node = user.choice.segmentation
    (name,) = node.GetSegmentation().GetSegmentIDs()
    np.testing.assert_array_equal(voxels_of(node, name, volume)[::-1], mask)
    assert (shown(user), marks()) == (None, [])
    user.widget.panel.editor.widget.undo()
    assert not voxels_of(node, name, volume).any()


def expected_of(volume: Any, **options: Any) -> PromptSession:
    """The session that Python would have for a volume node."""
    picture = Picture.of(volume)
    return PromptSession(Volume(picture.array.copy(), picture.affine), **options)


def test_the_view_under_the_mouse_says_which_slices_are_meant(user: Slicer) -> None:
    volume = scan()
    user.enter()
    user.ui.sliceOnlyCheckBox.checked = True
    look_from("Red", (0, 0, 1))
    session = expected_of(volume, axis=0, slice_only=True)
    point(user, volume, (1, 12, 14), (1, 28, 34), button="boxAddButton")
    # Slicer gives the box some depth, which nobody drew.
    np.testing.assert_array_equal(shown(user), session.add(Box(((1, 2), (12, 29), (14, 35)))))
    assert np.flatnonzero(session.mask.any((1, 2))).tolist() == [1]
    assert user.ui.boxAddButton.checked
    assert interaction().GetCurrentInteractionMode() == interaction().Place
    # From the side: what was found stays, and the rest is said of slices that lie the other way.
    look_from("Yellow", (1, 0, 0))
    session = expected_of(volume, start=session.mask.copy(), axis=2, slice_only=True)
    point(user, volume, (3, 20, 24))
    np.testing.assert_array_equal(shown(user), session.add(Point((3, 20, 24))))
    assert len(user.logic.pointing.marks) == 1


def test_the_image_is_handed_over_once_and_a_click_on_a_segment_changes_it(user: Slicer, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = scan()
    user.enter()
    asked: list[str] = []
    ask = user.logic.worker.ask
    monkeypatch.setattr(user.logic.worker, "ask", lambda listener, **request: asked.append(request["do"]) or ask(listener, **request))
    user.ui.sliceOnlyCheckBox.checked = True
    point(user, volume, MIDDLE)
    user.ui.nextSegmentButton.click()
    node = user.choice.segmentation
    first, second = node.GetSegmentation().GetSegmentIDs()
    before = voxels_of(node, first, volume)
    rules = user.widget.panel.editor.widget.mrmlSegmentEditorNode()
    assert rules.GetSelectedSegmentID() == second
    point(user, volume, (2, 5, 5))
    preview = user.widget.panel.point_at.preview.node.GetSegmentation().GetSegment("Object")
    assert preview.GetColor() == node.GetSegmentation().GetSegment(second).GetColor()
    rules.SetSelectedSegmentID(first)
    assert preview.GetColor() == node.GetSegmentation().GetSegment(first).GetColor() == pytest.approx((230 / 255, 159 / 255, 0))
    user.ui.clearPointButton.click()
    assert user.ui.pointStatus.text == "The object was given up; the segments are as they were"
    session = expected_of(volume, start=before, slice_only=True)
    point(user, volume, MIDDLE, button="pointRemoveButton")
    np.testing.assert_array_equal(shown(user), session.add(Point(MIDDLE, positive=False)))
    user.ui.takeOverButton.click()
    np.testing.assert_array_equal(voxels_of(node, first, volume), session.mask)
    assert not voxels_of(node, first, volume)[MIDDLE]
    user.widget.panel.editor.widget.undo()
    np.testing.assert_array_equal(voxels_of(node, first, volume), before)
    assert asked == ["look_at", "point", "point", "point"]
    assert list(Path(user.logic._exchange._made.name).iterdir()) == []


def test_of_clicks_during_an_answer_the_newest_counts_and_nothing_queues_up(user: Slicer) -> None:
    volume = scan()
    user.enter()
    user.ui.pointAddButton.click()
    user.wait()
    for voxel in (MIDDLE, (2, 5, 5), (2, 6, 40), (2, 24, 24)):
        place(volume, voxel)
    assert user.ui.pointCancelButton.enabled
    user.wait()
    session = expected_of(volume)
    session.add(Point(MIDDLE))
    np.testing.assert_array_equal(shown(user), session.add(Point((2, 24, 24))))
    assert marks() == [("Fiducial", 2)]
    place(volume, (2, 35, 5))
    user.ui.pointCancelButton.click()
    user.wait()
    assert user.ui.pointStatus.text == "Cancelled; the object is as it was"
    np.testing.assert_array_equal(shown(user), session.mask)
    assert marks() == [("Fiducial", 2)]


def test_a_killed_process_is_told_and_the_object_goes_on_from_where_it_was(user: Slicer) -> None:
    volume = scan()
    user.enter()
    user.ui.sliceOnlyCheckBox.checked = True
    point(user, volume, MIDDLE)
    before = shown(user)
    place(volume, (2, 5, 5))
    pid = user.logic.worker.process_id
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    user.wait()
    assert "ended unexpectedly" in user.ui.pointStatus.text
    np.testing.assert_array_equal(shown(user), before)
    session = expected_of(volume, start=before, slice_only=True)
    place(volume, (2, 20, 31))
    user.wait()
    np.testing.assert_array_equal(shown(user), session.add(Point((2, 20, 31))))
    user.ui.takeOverButton.click()
    node = user.choice.segmentation
    np.testing.assert_array_equal(voxels_of(node, node.GetSegmentation().GetSegmentIDs()[0], volume), session.mask)


def test_a_volume_that_changes_or_goes_during_an_answer_gives_the_object_up(user: Slicer) -> None:
    volume = scan()
    user.enter()
    user.ui.sliceOnlyCheckBox.checked = True
    user.ui.pointAddButton.click()
    user.wait()
    place(volume, MIDDLE)
    slicer.util.updateVolumeFromArray(volume, noisy((5, 40, 48)))
    user.wait()
    assert "Expected Scan as it was when it was pointed at, found its image changed" in user.ui.pointStatus.text
    assert (shown(user), marks(), user.choice.segmentation) == (None, [], None)
    # The next click is on the image that is there now.
    place(volume, MIDDLE)
    user.wait()
    np.testing.assert_array_equal(shown(user), expected_of(volume, slice_only=True).add(Point(MIDDLE)))
    place(volume, (2, 20, 30))
    slicer.mrmlScene.RemoveNode(volume)
    user.wait()
    assert user.ui.pointStatus.text == "Scan was removed; what was pointed at in it is given up"
    assert (marks(), slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == ([], [])
    user.ui.pointAddButton.click()
    user.ui.pointAddButton.click()
    assert user.ui.pointStatus.text.startswith("Expected a volume, found none")
    assert not user.ui.pointAddButton.checked


def test_another_frame_of_a_sequence_is_refused_and_the_object_waits_for_its_own(user: Slicer) -> None:
    series = Series()
    user.enter()
    user.choice.volume = series.volume
    user.ui.sliceOnlyCheckBox.checked = True
    point(user, series.volume, (10, 12, 14))
    before = user.logic.pointing.mask
    series.show(1)
    place(series.volume, (10, 12, 16))
    user.wait()
    assert user.ui.pointStatus.text.startswith("Expected frame 1 of 3 of 4D, which was pointed at, found another image")
    user.ui.takeOverButton.click()
    assert "found another image" in user.ui.pointStatus.text
    assert user.choice.segmentation is None
    series.show(0)
    assert user.logic.pointing.mask is before
    user.ui.takeOverButton.click()
    assert "voxels added" in user.ui.pointStatus.text


def test_a_closed_scene_leaves_nothing_behind_and_a_working_module(user: Slicer, tmp_path: Path) -> None:
    volume = scan()
    user.enter()
    user.ui.sliceOnlyCheckBox.checked = True
    point(user, volume, MIDDLE)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    helpers = [user.widget.panel.point_at.preview.node, *slicer.util.getNodesByClass("vtkMRMLMarkupsNode")]
    assert [hierarchy.GetItemByDataNode(node) for node in helpers] == [0, 0]
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    saved = (tmp_path / "scene.mrml").read_text()
    assert "<MarkupsFiducial" not in saved
    assert "<Segmentation" not in saved.replace("<SegmentEditor", "")
    place(volume, (2, 20, 30))
    slicer.mrmlScene.Clear()
    user.wait()
    assert not user.logic.pointing.has_object
    assert marks() == []
    assert interaction().GetCurrentInteractionMode() == interaction().ViewTransform
    volume = scan()
    user.widget.panel.use_scene()
    user.ui.sliceOnlyCheckBox.checked = True
    point(user, volume, MIDDLE)
    assert shown(user).any(), user.ui.logText.plainText


def test_the_test_that_the_module_brings_along_finds_its_ball(logic: UltraLightSegmenterLogic) -> None:
    volume, mask = point_at_a_ball(logic)
    assert mask.shape == (48, 56, 64)
    assert (mask[24, 28, 32], mask[0, 0, 0]) == (True, False)
    assert volume.GetName() == "Ball"


def test_places_beside_the_volume_are_refused_and_the_mouse_is_given_back(user: Slicer) -> None:
    volume = scan()
    user.missing.append("openvino>=2025.4")
    user.agrees = False
    user.enter()
    user.ui.pointAddButton.click()
    assert "are not installed" in user.ui.pointStatus.text
    assert not user.ui.pointAddButton.checked
    user.missing.clear()
    for button, *voxels in (
        ("pointAddButton", (2, 20, 60)),
        ("strokeAddButton", (9, 2, 2), (9, 2, 8)),
        ("boxAddButton", (2, 50, 60), (2, 60, 70)),
    ):
        point(user, volume, *voxels, button=button)
        assert "found one beside it" in user.ui.pointStatus.text
        assert (shown(user), marks()) == (None, [])
    assert not user.ui.takeOverButton.enabled
    user.ui.pointAddButton.click()
    # Esc, or another mouse mode.
    interaction().SwitchToViewTransformMode()
    assert not user.ui.pointAddButton.checked
    user.ui.boxAddButton.click()
    user.leave()
    assert not user.ui.boxAddButton.checked
    assert interaction().GetCurrentInteractionMode() == interaction().ViewTransform
    assert marks() == []
