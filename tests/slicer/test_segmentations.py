"""From a volume node to a segmentation node, voxel for voxel, and from there to files and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic
from UltraLightSegmenterLib.pictures import Picture
from UltraLightSegmenterLib.segmentations import classes_of, facts_of, labels_of, make_segmentation, prediction_of, volume_of

from tests.slicer.conftest import Answers, add_transform, add_volume, noisy, rotation
from tests.slicer.test_pictures import GRIDS
from ultralightunet import Request, Segmentation, Session, Volume
from ultralightunet.corrections import Store
from ultralightunet.events import finish
from ultralightunet.exports import export
from ultralightunet.io import read_image, read_labels
from ultralightunet.models import LabelClass, Model

CLASSES = [
    {"index": 0, "name": "background", "color": [0, 0, 0], "snomed": "", "terminology": ""},
    {
        "index": 1,
        "name": "liver",
        "color": [200, 80, 60],
        "snomed": "10200004",
        "terminology": "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
        "~SCT^10200004^liver~^^~Anatomic codes - DICOM master list~^^~^^",
    },
    {"index": 2, "name": "tumour", "color": [30, 220, 60], "snomed": "", "terminology": ""},
]
ANSWER = {"model": "small@1.0.0", "classes": CLASSES, "facts": {"engine": "openvino"}}


def some_labels(shape: tuple[int, ...] = (20, 24, 28)) -> Any:
    labels = np.zeros(shape, np.uint8)
    labels[4:9, 6:12, 8:20] = 1
    labels[9:12, 10:14, 3:9] = 2
    return labels


def made(matrix: Any = None, labels: Any = None) -> tuple[Any, Any, Any]:
    """A volume, its labels and the segmentation made of them."""
    labels = some_labels() if labels is None else labels
    volume = add_volume(noisy(labels.shape), GRIDS["oblique"] if matrix is None else matrix)
    return volume, labels, make_segmentation(labels, Picture.of(volume), ANSWER)


def save(node: Any, path: Path) -> Path:
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.WriteData(node)
    return path


@pytest.mark.parametrize("turn", [None, rotation(25, 0)], ids=["free", "rotated parent"])
@pytest.mark.parametrize("name", GRIDS)
def test_labels_are_those_of_napari_voxel_for_voxel(
    name: str, turn: Any, logic: UltraLightSegmenterLogic, model: Model, answers: Answers
) -> None:
    array = noisy(seed=7)
    volume = add_volume(array, GRIDS[name])
    if turn is not None:
        volume.SetAndObserveTransformNodeID(add_transform(turn).GetID())
    logic.segment(volume, answers.listener, model=str(model.folder))
    node = answers.wait(logic.poll)["node"]
    expected = finish(Session().segment(Volume(array, GRIDS[name]), Request(model))).labels
    assert len(np.unique(expected)) > 1
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    np.testing.assert_array_equal(labels_of(node, Picture.of(volume), classes_of(node)), expected)
    # By Slicer's own way of asking, which resamples where geometries differ.
    for entry in model.classes[1:]:
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, f"Segment_{entry.index}", volume)
        np.testing.assert_array_equal(found != 0, expected == entry.index)


def test_segments_have_names_colours_and_terminology() -> None:
    volume, _, node = made()
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(name) for name in segmentation.GetSegmentIDs()]
    assert [segment.GetName() for segment in segments] == ["liver", "tumour"]
    assert [[round(255 * value) for value in segment.GetColor()] for segment in segments] == [[200, 80, 60], [30, 220, 60]]
    text = vtk.reference("")
    assert segments[0].GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text)
    assert "SCT^10200004^liver" in str(text)
    assert segmentation.GetNumberOfLayers() == 1
    assert facts_of(node)["model"] == "small@1.0.0"
    assert volume_of(node) is volume


def test_another_run_makes_another_segmentation_and_leaves_the_first_alone() -> None:
    volume, labels, first = made()
    second = make_segmentation(np.zeros_like(labels), Picture.of(volume), ANSWER)
    assert first.GetName() != second.GetName()
    np.testing.assert_array_equal(labels_of(first, Picture.of(volume), CLASSES), labels)


def test_a_class_without_voxels_can_be_painted() -> None:
    volume, labels, node = made(labels=np.where(some_labels() == 2, 0, some_labels()))
    painted = np.zeros(labels.shape, np.uint8)
    painted[15:17] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "Segment_2", volume)
    np.testing.assert_array_equal(labels_of(node, Picture.of(volume), CLASSES), np.where(painted, 2, labels))


def test_correcting_does_not_change_what_the_model_had_said() -> None:
    volume, labels, node = made()
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones_like(labels), node, "Segment_1", volume)
    np.testing.assert_array_equal(prediction_of(node, Picture.of(volume)), labels)
    kept = node.GetNodeReference("UltraLight.Prediction")
    assert kept.GetName() == f"{node.GetName()} (prediction)"


def test_a_segment_that_a_person_added_becomes_a_class_of_its_own() -> None:
    volume, labels, node = made()
    added = node.GetSegmentation().AddEmptySegment("", "cyst", [0, 0, 1])
    painted = np.zeros(labels.shape, np.uint8)
    painted[15:17] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, added, volume)
    classes = classes_of(node, CLASSES)
    assert [(entry["index"], entry["name"]) for entry in classes] == [(0, "background"), (1, "liver"), (2, "tumour"), (3, "cyst")]
    assert classes[3]["color"] == [0, 0, 255]
    np.testing.assert_array_equal(labels_of(node, Picture.of(volume), classes), np.where(painted, 3, labels))
    # In a store that has another class 3 already, it gets the next number.
    known = [*CLASSES, {"index": 3, "name": "vessel", "color": [1, 2, 3], "snomed": ""}]
    assert [entry["name"] for entry in classes_of(node, known)][3:] == ["vessel", "cyst"]


def test_a_hand_made_segmentation_takes_the_models_classes_by_name() -> None:
    volume = add_volume(noisy())
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in ("Tumour", "bone"):
        node.GetSegmentation().AddEmptySegment(name, name, [1, 0, 0])
    painted = np.zeros((20, 24, 28), np.uint8)
    painted[3:5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "Tumour", volume)
    classes = classes_of(node, CLASSES)
    assert [entry["name"] for entry in classes] == ["background", "liver", "tumour", "bone"]
    np.testing.assert_array_equal(labels_of(node, Picture.of(volume), classes), painted * 2)
    assert volume_of(node) is volume
    assert prediction_of(node, Picture.of(volume)) is None


def test_what_slicer_saves_the_core_reads_with_names_and_colours(tmp_path: Path) -> None:
    _, labels, node = made()
    found = read_labels(save(node, tmp_path / "found.seg.nrrd"))
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.affine, GRIDS["oblique"], atol=1e-6)
    assert found.classes[1:] == (LabelClass(1, "liver", (200, 80, 60), "10200004"), LabelClass(2, "tumour", (30, 220, 60)))


def test_segments_that_overlap_and_are_cut_out_are_read_on_the_whole_grid(tmp_path: Path) -> None:
    volume, labels, node = made(labels=np.zeros((20, 24, 28), np.uint8))
    under, over = np.zeros_like(labels), np.zeros_like(labels)
    under[3:6, 4:9, 5:10], over[5:8, 8:12, 9:14] = 1, 1
    node.GetSegmentation().SeparateSegmentLabelmap("Segment_2")
    slicer.util.updateSegmentBinaryLabelmapFromArray(under, node, "Segment_1", volume)
    slicer.util.updateSegmentBinaryLabelmapFromArray(over, node, "Segment_2", volume)
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "cut.seg.nrrd"))
    storage.SetCropToMinimumExtent(True)
    assert storage.WriteData(node)
    found = read_labels(tmp_path / "cut.seg.nrrd")
    np.testing.assert_array_equal(found.labels, np.where(over, 2, under))
    np.testing.assert_allclose(found.affine, GRIDS["oblique"], atol=1e-5)


def test_what_the_core_exports_slicer_reads_with_names_and_colours(tmp_path: Path) -> None:
    image = Volume(noisy(), GRIDS["oblique"])
    classes = tuple(LabelClass(c["index"], c["name"], tuple(c["color"]), c["snomed"]) for c in CLASSES)
    Store(tmp_path / "store").add(image, Segmentation(some_labels(), image.affine, classes), None)
    export(Store(tmp_path / "store"), tmp_path / "out", format="seg-nrrd")
    (file,) = (tmp_path / "out").glob("*.seg.nrrd")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Read")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(file))
    assert storage.ReadData(node)
    volume = add_volume(noisy(), GRIDS["oblique"])
    found = classes_of(node)
    assert [(c["name"], c["color"], c["snomed"]) for c in found[1:]] == [(c["name"], c["color"], c["snomed"]) for c in CLASSES[1:]]
    np.testing.assert_array_equal(labels_of(node, Picture.of(volume), found), some_labels())


def test_a_scene_keeps_what_is_known_of_a_segmentation(tmp_path: Path) -> None:
    _, labels, node = made(GRIDS["sagittal"])
    for kind, file, found in (
        ("vtkMRMLSegmentationStorageNode", "labels.seg.nrrd", node),
        ("vtkMRMLVolumeArchetypeStorageNode", "scan.nrrd", volume_of(node)),
        ("vtkMRMLVolumeArchetypeStorageNode", "said.nrrd", node.GetNodeReference("UltraLight.Prediction")),
    ):
        storage = slicer.mrmlScene.AddNewNodeByClass(kind)
        storage.SetFileName(str(tmp_path / file))
        found.SetAndObserveStorageNodeID(storage.GetID())
        assert storage.WriteData(found)
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear()
    assert slicer.mrmlScene.Connect()
    again = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert facts_of(again) == {key: ANSWER[key] for key in ("model", "classes", "facts")}
    np.testing.assert_array_equal(labels_of(again, Picture.of(volume_of(again)), classes_of(again)), labels)
    np.testing.assert_array_equal(prediction_of(again, Picture.of(volume_of(again))), labels)


def test_a_file_is_the_same_case_in_slicer_and_in_napari(sample_data: Path, tmp_path: Path) -> None:
    path = sample_data / "tumour_mri_1.nrrd"
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Head")
    assert storage.ReadData(node)
    picture, image = Picture.of(node), read_image(path)
    # Slicer reverses the slices of an image with left-handed axes.
    np.testing.assert_array_equal(picture.array[::-1], image.array)
    classes = (LabelClass(0, "background"), LabelClass(1, "tumour"))
    labels = np.zeros(image.shape, np.uint8)
    labels[3:5, 90:120, 90:120] = 1
    store = Store(tmp_path / "store")
    first = store.add(image, Segmentation(labels, image.affine, classes), None)
    labels[6] = 1
    in_slicer = Volume(np.array(picture.array), picture.affine)
    second = store.add(in_slicer, Segmentation(labels[::-1], picture.affine, classes), None, checked={0: [18, 20, 21]})
    assert (second.case, second.number) == (first.case, 2)
    np.testing.assert_array_equal(second.labels().labels, labels)
    marked = second.checked()
    assert marked is not None
    assert np.flatnonzero(marked.any((1, 2))).tolist() == [3, 4, 6]
