"""What the module does without a window, and what becomes of bad input and bad luck."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.logic import Correction, UltraLightSegmenterLogic
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.segmentations import volume_of

from tests.slicer.conftest import Answers, add_volume, new_worker, noisy, until
from tests.small_models import small_model
from ultralightunet import Segmentation, Volume
from ultralightunet.corrections import Store
from ultralightunet.models import Model, install_model, versions

LARGE = (96, 96, 96)
"""With a step of 0.1 this takes longer than any test waits before it interferes."""


def begin_slow_run(logic: UltraLightSegmenterLogic, model: Model, answers: Answers) -> Any:
    """A volume that is being segmented, and will be for a while."""
    volume = add_volume(noisy(LARGE))
    logic.segment(volume, answers.listener, model=str(model.folder), step=0.1)
    until(lambda: any(event["done"] for event in answers.events), logic.poll)
    return volume


def segmentations() -> int:
    return int(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"))


def check_it_goes_on(logic: UltraLightSegmenterLogic, model: Model, folder: Path) -> None:
    """The module works after what happened, and no file is left of it."""
    answers = Answers()
    logic.segment(add_volume(noisy(), name="Next"), answers.listener, model=str(model.folder))
    assert answers.wait(logic.poll)["node"].GetName().startswith("Next - small")
    assert list(folder.rglob("*.npy")) == []


def test_cancel_adds_nothing(logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path) -> None:
    begin_slow_run(logic, model, answers)
    logic.cancel()
    assert answers.wait_for_failure(logic.poll) == ""
    assert segmentations() == 0
    check_it_goes_on(logic, model, tmp_path)


def test_one_volume_at_a_time(logic: UltraLightSegmenterLogic, model: Model, answers: Answers) -> None:
    volume = begin_slow_run(logic, model, answers)
    with pytest.raises(Problem, match="one volume at a time"):
        logic.segment(volume, Answers().listener, model=str(model.folder))


def test_a_volume_that_is_removed_meanwhile_ends_the_run(
    logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path
) -> None:
    volume = begin_slow_run(logic, model, answers)
    slicer.mrmlScene.RemoveNode(volume)
    assert answers.sentences == ["Scan was removed while it was being segmented; nothing was added"]
    check_it_goes_on(logic, model, tmp_path)
    assert segmentations() == 1
    assert len(answers.sentences) == 1


def test_a_scene_that_is_closed_meanwhile_ends_the_run(
    logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path
) -> None:
    begin_slow_run(logic, model, answers)
    slicer.mrmlScene.Clear()
    assert answers.sentences == ["The scene was closed while a volume was being segmented; nothing was added"]
    check_it_goes_on(logic, model, tmp_path)
    assert segmentations() == 1


def test_a_volume_that_changes_its_size_meanwhile_gets_no_labels(
    logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path
) -> None:
    volume = add_volume(noisy())
    logic.segment(volume, answers.listener, model=str(model.folder))
    slicer.util.updateVolumeFromArray(volume, noisy((5, 6, 7)))
    assert "found it changed while it was being segmented" in answers.wait_for_failure(logic.poll)
    check_it_goes_on(logic, model, tmp_path)


def test_a_process_that_is_killed_meanwhile_is_told(model: Model, answers: Answers, tmp_path: Path) -> None:
    logic = UltraLightSegmenterLogic(new_worker(), new_worker(), folder=tmp_path)
    begin_slow_run(logic, model, answers)
    pid = logic.worker.process_id
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert "ended unexpectedly" in answers.wait_for_failure(logic.poll)
    check_it_goes_on(logic, model, tmp_path)
    logic.close()


def test_a_model_that_cannot_be_loaded_is_told(logic: UltraLightSegmenterLogic, model: Model, tmp_path: Path, answers: Answers) -> None:
    broken = small_model(tmp_path / "broken", seed=99).folder
    (broken / "models" / "model.safetensors").write_bytes(b"no weights")
    logic.segment(add_volume(noisy()), answers.listener, model=str(broken))
    assert "the file was damaged or exchanged" in answers.wait_for_failure(logic.poll)
    check_it_goes_on(logic, model, tmp_path)


def test_missing_voxels_are_told_in_the_words_of_the_module(
    logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path
) -> None:
    array = noisy().astype(np.float32)
    array[0, 0, 0] = np.nan
    volume = add_volume(array)
    logic.segment(volume, answers.listener, model=str(model.folder))
    assert "tick “Fill missing voxels with” under Options" in answers.wait_for_failure(logic.poll)
    filled = Answers()
    logic.segment(volume, filled.listener, model=str(model.folder), nan_fill=0.0)
    filled.wait(logic.poll)


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """No file may become larger than this, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_before_the_run(logic: UltraLightSegmenterLogic, model: Model, tmp_path: Path, answers: Answers) -> None:
    volume = add_volume(noisy())
    with small_disk(5000), pytest.raises(Problem, match="hand over the image in .* free space there"):
        logic.segment(volume, answers.listener, model=str(model.folder))
    check_it_goes_on(logic, model, tmp_path)


def test_a_disk_that_is_full_after_the_run_is_told(model: Model, tmp_path: Path, answers: Answers) -> None:
    # The image, uint8, just fits; so do the labels, but for the one byte that the limit of the process lacks.
    volume = add_volume(noisy().astype(np.uint8))
    logic = UltraLightSegmenterLogic(new_worker(), new_worker(), folder=tmp_path)
    with small_disk(10_000):
        logic.worker.start()
    logic.segment(volume, answers.listener, model=str(model.folder))
    assert "free space on the disk" in answers.wait_for_failure(logic.poll)
    logic.worker.stop()
    check_it_goes_on(logic, model, tmp_path)
    logic.close()


def test_a_region_is_labelled_and_nothing_else(logic: UltraLightSegmenterLogic, model: Model, answers: Answers) -> None:
    volume = add_volume(noisy())
    logic.segment(volume, answers.listener, model=str(model.folder), scope=lambda picture: {"box": [[2, 9], [0, 24], [3, 20]]})
    node = answers.wait(logic.poll)["node"]
    found = np.zeros((20, 24, 28), bool)
    for name in node.GetSegmentation().GetSegmentIDs():
        found |= slicer.util.arrayFromSegmentBinaryLabelmap(node, name, volume) != 0
    assert found.any()
    assert not found[9:].any()
    assert not found[:, :, 20:].any()


def segmented(logic: UltraLightSegmenterLogic, model: Model) -> tuple[Any, Any]:
    answers = Answers()
    volume = add_volume(noisy())
    logic.segment(volume, answers.listener, model=str(model.folder))
    return volume, answers.wait(logic.poll)["node"]


def test_a_correction_is_kept_with_its_image_and_prediction(
    logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path
) -> None:
    volume, node = segmented(logic, model)
    before = slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_1", volume)
    after = before.copy()
    after[:10] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(after, node, "Segment_1", volume)
    store = tmp_path / "store"
    logic.save_correction(
        Correction(node, str(store), "small@1.0.0", checked=lambda picture: np.ones(picture.shape, np.uint8)), answers.listener
    )
    told = answers.wait(logic.poll)
    (revision,) = Store(store).cases()
    np.testing.assert_array_equal(revision.image().array, noisy())
    np.testing.assert_array_equal(revision.labels().labels == 1, after != 0)
    prediction = revision.prediction()
    assert prediction is not None
    np.testing.assert_array_equal(prediction.labels == 1, before != 0)
    assert revision.model == "small@1.0.0"
    assert told["role"] == revision.role
    assert told["voxels_changed"] == np.count_nonzero(before != after)
    assert list(tmp_path.rglob("*.npy")) == []


def test_what_needed_no_correction_is_kept_only_if_somebody_says_so(
    logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path
) -> None:
    _, node = segmented(logic, model)
    logic.save_correction(Correction(node, str(tmp_path / "store"), "small@1.0.0"), answers.listener)
    assert "tick “Right as it is”" in answers.wait_for_failure(logic.poll)
    again = Answers()
    logic.save_correction(Correction(node, str(tmp_path / "store"), "small@1.0.0", confirmed=True), again.listener)
    again.wait(logic.poll)


def test_images_of_one_patient_share_a_pseudonym_and_nothing_tells_who_it_is(
    logic: UltraLightSegmenterLogic, model: Model, tmp_path: Path
) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe^Jane")
    hierarchy.SetItemUID(patient, "DICOM", "PATIENT-4711")
    study = hierarchy.CreateStudyItem(patient, "A study")
    for seed in (1, 2):
        volume = add_volume(noisy(seed=seed), name=f"Doe^Jane {seed}")
        hierarchy.CreateItem(study, volume)
        answers = Answers()
        logic.segment(volume, answers.listener, model=str(model.folder))
        node = answers.wait(logic.poll)["node"]
        saved = Answers()
        logic.save_correction(Correction(node, str(tmp_path / "store"), "small@1.0.0", confirmed=True), saved.listener)
        saved.wait(logic.poll)
    first, second = Store(tmp_path / "store").cases()
    assert first.group == second.group
    assert first.role == second.role
    written = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any(name in path.read_bytes() for path in written for name in (b"4711", b"Doe", b"Jane"))


def test_what_cannot_be_kept_is_told(logic: UltraLightSegmenterLogic, answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Expected a segmentation, found none"):
        logic.save_correction(Correction(None, str(tmp_path), "small"), answers.listener)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Orphan")
    with pytest.raises(Problem, match="the volume that Orphan belongs to, found none; load it"):
        logic.save_correction(Correction(node, str(tmp_path), "small"), answers.listener)
    node.SetReferenceImageGeometryParameterFromVolumeNode(add_volume(noisy()))
    with pytest.raises(Problem, match="Expected segments, found none in Orphan"):
        logic.save_correction(Correction(node, str(tmp_path), "small"), answers.listener)


def test_what_the_model_had_said_goes_with_its_segmentation(logic: UltraLightSegmenterLogic, model: Model) -> None:
    _, node = segmented(logic, model)
    slicer.mrmlScene.RemoveNode(node)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0


def test_closing_leaves_neither_processes_nor_files(model: Model, answers: Answers, tmp_path: Path) -> None:
    logic = UltraLightSegmenterLogic(new_worker(), new_worker(), folder=tmp_path)
    begin_slow_run(logic, model, answers)
    pid = logic.worker.process_id
    assert pid is not None
    logic.close()
    assert list(tmp_path.iterdir()) == []
    until(lambda: not Path(f"/proc/{pid}").exists() or logic.worker._leaving[0].poll() is not None, lambda: None)
    assert answers.sentences == []


@pytest.mark.slow
def test_stopping_a_retraining_ends_its_process_and_changes_nothing(
    logic: UltraLightSegmenterLogic, model: Model, answers: Answers, tmp_path: Path
) -> None:
    install_model(model.folder)
    labels = np.where(noisy() > 500, 1, 0).astype(np.uint8)
    Store(tmp_path / "store").add(Volume(noisy()), Segmentation(labels, np.eye(4), model.classes), None)
    logic.retrain(str(tmp_path / "store"), "small@1.0.0", answers.listener, minutes=5)
    assert logic.is_retraining
    with pytest.raises(Problem, match="once at a time"):
        logic.retrain(str(tmp_path / "store"), "small@1.0.0", Answers().listener, minutes=5)
    until(lambda: any(event.get("stage") == "Preparing" for event in answers.events), logic.poll)
    found = Path(f"/proc/{logic.trainer.process_id}/task/{logic.trainer.process_id}/children").read_text().split()
    assert found
    logic.stop_retraining()
    assert answers.wait_for_failure(logic.poll) == ""
    assert not any(Path(f"/proc/{child}").exists() for child in found)
    assert not logic.is_retraining
    assert [version.model.version for version in versions("small")] == ["1.0.0"]


def test_a_script_waits_for_the_segmentation(logic: UltraLightSegmenterLogic, model: Model) -> None:
    volume = add_volume(noisy())
    node = logic.process(volume, str(model.folder), device="cpu")
    assert node.IsA("vtkMRMLSegmentationNode")
    assert volume_of(node) is volume
    assert not logic.is_waiting


def test_a_script_gets_an_exception_with_what_went_wrong(logic: UltraLightSegmenterLogic) -> None:
    with pytest.raises(Problem, match="found 'spleen'; choose another in the list"):
        logic.process(add_volume(noisy()), "spleen")
    assert not logic.is_segmenting


def test_a_segmentation_is_filed_under_its_volumes_study_and_what_the_model_said_is_not_listed(
    logic: UltraLightSegmenterLogic, model: Model
) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Somebody"), "A study")
    volume = add_volume(noisy())
    hierarchy.CreateItem(study, volume)
    node = logic.process(volume, str(model.folder))
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    kept = node.GetNodeReference("UltraLight.Prediction")
    assert kept.GetAttribute(slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName())
    # Slicer's Save dialog passes over what is hidden from editors.
    assert not kept.GetHideFromEditors()
    assert kept.GetSaveWithScene()


def test_what_the_model_said_stays_as_long_as_a_copy_of_its_segmentation(logic: UltraLightSegmenterLogic, model: Model) -> None:
    node = logic.process(add_volume(noisy()), str(model.folder))
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    copy.Copy(node)
    kept = node.GetNodeReference("UltraLight.Prediction")
    slicer.mrmlScene.RemoveNode(node)
    assert copy.GetNodeReference("UltraLight.Prediction") is kept
    slicer.mrmlScene.RemoveNode(copy)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0


def test_the_data_folder_stays_while_work_is_under_way(
    logic: UltraLightSegmenterLogic, model: Model, tmp_path: Path, answers: Answers
) -> None:
    home = os.environ.get("ULTRALIGHT_HOME")
    begin_slow_run(logic, model, answers)
    with pytest.raises(Problem, match="Expected nothing under way"):
        logic.move_home(str(tmp_path / "elsewhere"))
    logic.cancel()
    assert os.environ.get("ULTRALIGHT_HOME") == home
    assert not logic.is_working
