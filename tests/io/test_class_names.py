"""What labels mean stays with them in their file, and other programs read that file as before."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from ultralightunet.io import read_image, read_labels, write_labels
from ultralightunet.io.meaning import meaning_of
from ultralightunet.models import LabelClass
from ultralightunet.volume import Segmentation

CLASSES = (
    LabelClass(0, "background", (0, 0, 0)),
    LabelClass(1, "Großhirn; “left”\\n", (221, 130, 101), "12738006"),
    *(LabelClass(n, f"a structure with a long name, number {n}", (n, 2 * n, 3 * n)) for n in range(2, 40)),
)


def labelled(classes: tuple[LabelClass, ...] = CLASSES, model: str = "brain@0.1.0") -> Segmentation:
    labels = np.random.default_rng(0).integers(0, 5, (7, 9, 11)).astype(np.uint8)
    return Segmentation(labels, np.diag([-1.0, -2.0, 3.0, 1.0]), classes, model=model)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_classes_and_model_come_back_and_others_read_the_voxels(tmp_path: Path, suffix: str) -> None:
    path = write_labels(labelled(), tmp_path / f"labels{suffix}")
    assert meaning_of(path) == (CLASSES, "brain@0.1.0")
    assert np.array_equal(read_labels(path).labels, labelled().labels)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), labelled().labels)
    if suffix.startswith(".nii"):
        assert np.array_equal(np.asarray(nib.load(path).dataobj).T, labelled().labels)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_labels_without_classes_and_images_name_none(tmp_path: Path, suffix: str) -> None:
    path = write_labels(labelled((), ""), tmp_path / f"labels{suffix}")
    # NIfTI can say at least that they are labels.
    assert meaning_of(path) == (((), "") if suffix.startswith(".nii") else None)
    sitk.WriteImage(sitk.GetImageFromArray(labelled().labels), str(tmp_path / f"image{suffix}"))
    assert meaning_of(tmp_path / f"image{suffix}") is None
    assert read_image(path).array.shape == (7, 9, 11)


@pytest.mark.parametrize("text", ["{", "[]", '{"classes": [{"index": 3, "name": "x", "color": [1, 2, 3]}]}', '{"classes": 5}'])
def test_a_damaged_table_of_classes_is_passed_over(tmp_path: Path, text: str) -> None:
    image = sitk.GetImageFromArray(labelled().labels)
    image.SetMetaData("ultralight_labels", text)
    sitk.WriteImage(image, str(tmp_path / "labels.nrrd"))
    assert meaning_of(tmp_path / "labels.nrrd") in (None, ((), ""))
    assert np.array_equal(read_labels(tmp_path / "labels.nrrd").labels, labelled().labels)
