"""With which image labels are kept: never with another one than they were made for or drawn over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.correction import Correction
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.references import reference_of

from tests.slicer.conftest import Answers, add_transform, add_volume, noisy, rotation
from tests.slicer.test_pictures import GRIDS
from tests.slicer.test_segmentations import CLASSES, made, save, some_labels
from ultralightunet import Segmentation
from ultralightunet.corrections import Store
from ultralightunet.models import LabelClass

TABLE = tuple(LabelClass(entry["index"], entry["name"], tuple(entry["color"]), entry["snomed"]) for entry in CLASSES)


def kept(logic: UltraLightSegmenterLogic, node: Any, volume: Any, store: Path) -> tuple[Any, Any, Any]:
    """Image, labels and classes that the store holds after a correction has been saved."""
    answers = Answers()
    logic.save_correction(Correction(node, str(store), "small@1.0.0", CLASSES, volume=volume), answers.listener)
    answers.wait(logic.poll)
    revision = Store(store).cases()[-1]
    return revision.image().array, revision.labels().labels, [entry.name for entry in revision.classes]


def read_segmentation(path: Path, name: str = "From a file") -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return node


def import_label_map(labels: Any, matrix: Any, colours: Any = None) -> Any:
    """A label map that was imported into a segmentation, as the Segmentations module does."""
    label_map = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    slicer.util.updateVolumeFromArray(label_map, labels)
    label_map.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    if colours is not None:
        label_map.CreateDefaultDisplayNodes()
        label_map.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Imported")
    assert slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(label_map, node)
    return node


def generic_colours() -> Any:
    """The colour table that Slicer gives to a label map by default."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", "GenericAnatomyColors")
    node.SetTypeToUser()
    node.SetNumberOfColors(4)
    for value, name in enumerate(("background", "tissue", "bone", "skin")):
        node.SetColor(value, name, 0.1 * value, 0.5, 0.5)
    return node


@pytest.mark.parametrize("name", GRIDS)
def test_a_segmentation_from_a_file_is_kept_with_the_chosen_volume(name: str, logic: UltraLightSegmenterLogic, tmp_path: Path) -> None:
    volume, labels, node = made(GRIDS[name])
    path = save(node, tmp_path / "mine.seg.nrrd")
    slicer.mrmlScene.RemoveNode(node)
    image, found, classes = kept(logic, read_segmentation(path), volume, tmp_path / "store")
    np.testing.assert_array_equal(image, slicer.util.arrayFromVolume(volume))
    np.testing.assert_array_equal(found, labels)
    assert classes == ["background", "liver", "tumour"]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_labels_of_napari_and_the_command_line_are_kept(suffix: str, logic: UltraLightSegmenterLogic, tmp_path: Path) -> None:
    path = Segmentation(some_labels(), GRIDS["oblique"], TABLE).save(tmp_path / f"labels{suffix}")
    volume = add_volume(noisy(), GRIDS["oblique"])
    _, found, classes = kept(logic, read_segmentation(path), volume, tmp_path / "store")
    np.testing.assert_array_equal(found, some_labels())
    assert classes == ["background", "liver", "tumour"]


def test_labels_whose_file_runs_the_other_way_lie_where_they_lay(logic: UltraLightSegmenterLogic, tmp_path: Path) -> None:
    turned = nib.Nifti1Image(some_labels().T, GRIDS["oblique"]).as_reoriented(nib.orientations.axcodes2ornt("SPL"))
    nib.save(turned, tmp_path / "turned.nii.gz")
    volume = add_volume(noisy(), GRIDS["oblique"])
    _, found, _ = kept(logic, read_segmentation(tmp_path / "turned.nii.gz"), volume, tmp_path / "store")
    np.testing.assert_array_equal(found, some_labels())


@pytest.mark.parametrize("has_colours", [False, True], ids=["no colours", "Slicer's default colours"])
def test_an_imported_label_map_is_kept_by_its_label_values(has_colours: bool, logic: UltraLightSegmenterLogic, tmp_path: Path) -> None:
    volume = add_volume(noisy(), GRIDS["axial"])
    node = import_label_map(some_labels(), GRIDS["axial"], generic_colours() if has_colours else None)
    _, found, classes = kept(logic, node, volume, tmp_path / "store")
    np.testing.assert_array_equal(found, some_labels())
    assert classes == ["background", "liver", "tumour"]


def test_a_clone_is_kept(logic: UltraLightSegmenterLogic, tmp_path: Path) -> None:
    volume, labels, node = made()
    clone = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Clone")
    clone.CopyContent(node)
    _, found, _ = kept(logic, clone, volume, tmp_path / "store")
    np.testing.assert_array_equal(found, labels)


def test_labels_under_another_transform_are_kept_where_they_are_seen(logic: UltraLightSegmenterLogic, tmp_path: Path) -> None:
    volume = add_volume(noisy(), GRIDS["oblique"])
    volume.SetAndObserveTransformNodeID(add_transform(rotation(25, 0)).GetID())
    node = import_label_map(some_labels(), rotation(25, 0) @ GRIDS["oblique"])
    _, found, _ = kept(logic, node, volume, tmp_path / "store")
    np.testing.assert_array_equal(found, some_labels())


def test_labels_of_another_grid_are_refused() -> None:
    node = import_label_map(some_labels(), np.diag([1.0, 1, 2, 1]))
    for matrix in (np.diag([1.0, 1, 2.1, 1]), np.diag([2.0, 2, 2, 1]), rotation(3) @ np.diag([1.0, 1, 2, 1])):
        with pytest.raises(Problem, match="Expected labels on the voxels of Scan, found Imported on another grid"):
            reference_of(node, add_volume(noisy(), matrix))


def test_labels_that_reach_beyond_the_volume_are_refused() -> None:
    node = import_label_map(some_labels(), np.eye(4))
    cut = add_volume(noisy((8, 24, 28)))
    beyond = np.count_nonzero(some_labels()[8:])
    with pytest.raises(Problem, match=f"Expected labels within Scan, found {beyond:,} voxels of Imported beyond it"):
        reference_of(node, cut)


def test_a_volume_that_does_not_fit_gives_way_to_the_one_that_the_labels_were_drawn_over() -> None:
    drawn_over = add_volume(noisy())
    node = import_label_map(some_labels(), np.eye(4))
    node.SetReferenceImageGeometryParameterFromVolumeNode(drawn_over)
    assert reference_of(node, add_volume(noisy(), np.diag([3.0, 3, 3, 1]))).node is drawn_over
    another_contrast = add_volume(noisy(seed=2))
    assert reference_of(node, another_contrast).node is another_contrast


def test_labels_are_not_kept_with_an_image_that_has_changed_since(logic: UltraLightSegmenterLogic, model: Any, tmp_path: Path) -> None:
    volume = add_volume(noisy())
    answers = Answers()
    logic.segment(volume, answers.listener, model=str(model.folder))
    node = answers.wait(logic.poll)["node"]
    slicer.util.updateVolumeFromArray(volume, noisy(seed=5))
    correction = Correction(node, str(tmp_path / "store"), "small@1.0.0", confirmed=True, volume=volume)
    with pytest.raises(Problem, match="the voxels of Scan have changed since; load that image again"):
        logic.save_correction(correction, Answers().listener)
    assert not (tmp_path / "store").exists()
    # As the sentence advises.
    again = add_volume(noisy(), name="Loaded again")
    saved = Answers()
    correction = Correction(node, str(tmp_path / "store"), "small@1.0.0", confirmed=True, volume=again)
    logic.save_correction(correction, saved.listener)
    assert saved.wait(logic.poll)["image"] == "Loaded again"
    np.testing.assert_array_equal(Store(tmp_path / "store").cases()[0].image().array, noisy())


def test_a_volume_that_is_gone_can_be_loaded_again(logic: UltraLightSegmenterLogic, model: Any) -> None:
    volume = add_volume(noisy())
    answers = Answers()
    logic.segment(volume, answers.listener, model=str(model.folder))
    node = answers.wait(logic.poll)["node"]
    slicer.mrmlScene.RemoveNode(volume)
    with pytest.raises(Problem, match="was made for, found that it is gone; load it and choose it under Volume"):
        reference_of(node, None)
    again = add_volume(noisy())
    assert reference_of(node, again).node is again
