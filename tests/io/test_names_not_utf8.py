"""A folder whose name is not UTF-8, as old disks and archives bring them, is as good as any."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from nibabel.freesurfer.mghformat import MGHImage
from PIL import Image

from ultralightunet import Segmentation
from ultralightunet.io import WRITABLE_SUFFIXES, base_name, read_image, read_labels, read_series, write_labels

from ..io_files import dicom_series

ARRAY = np.random.default_rng(7).integers(0, 255, (4, 5, 6)).astype(np.int16)
DEEP = np.random.default_rng(7).integers(0, 65535, (5, 6, 3)).astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if os.name != "posix":
        pytest.skip("needs names of files that are not UTF-8")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    return folder


WRITERS = {
    "a.nii.gz": lambda path: nib.save(nib.Nifti1Image(ARRAY.T, np.eye(4)), path),
    "a.mgz": lambda path: nib.save(MGHImage(ARRAY.T, np.eye(4)), path),
    "a.hdr": lambda path: nib.save(nib.AnalyzeImage(ARRAY.T, np.eye(4)), path),
    "a.nrrd": lambda path: sitk.WriteImage(sitk.GetImageFromArray(ARRAY), path),
    "a.nhdr": lambda path: sitk.WriteImage(sitk.GetImageFromArray(ARRAY), path),
    "a.mha": lambda path: sitk.WriteImage(sitk.GetImageFromArray(ARRAY), path),
    "a.mhd": lambda path: sitk.WriteImage(sitk.GetImageFromArray(ARRAY), path),
    "a.png": lambda path: Image.fromarray(ARRAY[0].astype(np.uint8)).save(path),
    "deep.png": lambda path: sitk.WriteImage(sitk.GetImageFromArray(DEEP, isVector=True), path),
    "a.tif": lambda path: tifffile.imwrite(path, ARRAY.astype(np.uint16), photometric="minisblack"),
    "series": lambda path: dicom_series(Path(path), ARRAY),
}


@pytest.mark.parametrize("name", WRITERS)
def test_images_are_read_there(tmp_path: Path, folder: Path, name: str) -> None:
    WRITERS[name](str(tmp_path / name))
    for path in [path for path in tmp_path.iterdir() if path != folder]:
        path.rename(folder / path.name)
    volume = read_image(folder / name)
    expected = {"a.png": ARRAY[0], "deep.png": DEEP}.get(name, ARRAY)
    np.testing.assert_array_equal(volume.array, expected)
    np.testing.assert_array_equal(read_series(folder / name)[0].array, expected)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_labels_are_written_there(folder: Path, suffix: str) -> None:
    labels = (ARRAY[0] if suffix == ".png" else ARRAY).astype(np.uint8)
    path = write_labels(Segmentation(labels, np.eye(4), has_spacing=False), folder / f"labels{suffix}")
    np.testing.assert_array_equal(read_labels(path).labels, labels)
    assert base_name(path) == "labels"
