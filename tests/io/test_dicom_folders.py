"""What lies beside the slices of a series is passed over by what it says it is, and a CD opens like a folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from tests.io_files import REPORT, dicom, dicom_series
from ultralightunet import InputError
from ultralightunet.io import is_dicom_folder, output_paths, read_image

STORAGE = "1.2.840.10008.5.1.4.1.1."
OTHERS = {
    "a radiotherapy structure set": STORAGE + "481.3",
    "a radiotherapy plan or record": STORAGE + "481.5",
    "a presentation state": STORAGE + "11.1",
    "a selection of key objects": STORAGE + "88.59",
    "a report": STORAGE + "88.22",
    "a registration": STORAGE + "66.3",
    "raw data": STORAGE + "66",
    "an enclosed document": STORAGE + "104.1",
    "a curve or waveform": STORAGE + "9.1.1",
    "something that its maker alone knows": "1.3.12.2.1107.5.9.1",
}
STACK = np.random.default_rng(5).integers(0, 500, (5, 6, 7)).astype(np.int16)


def beside(path: Path, sop_class: str, **tags: Any) -> Path:
    """A file without pixels."""
    absent = dict.fromkeys(
        ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel")
    )
    return dicom(path, STACK[0], SOPClassUID=sop_class, SeriesInstanceUID=generate_uid(), **absent, **tags)


def cd(folder: Path, *series: str) -> Path:
    """A CD with one patient's `series`, each in a folder of its own."""
    files = FileSet()
    for uid in series:
        source = folder.parent / f"source {uid}"
        dicom_series(source, STACK + len(uid), SeriesInstanceUID=uid, StudyDate="20200101", StudyTime="10", StudyID="1", SeriesNumber=1)
        for path in source.iterdir():
            files.add(path)
    files.write(folder)
    return folder


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_image_is_passed_over_beside_images_and_named_alone(tmp_path: Path, what: str) -> None:
    other = beside(tmp_path / "zz.dcm", OTHERS[what])
    for path in (tmp_path, other):
        with pytest.raises(InputError, match=f"expected a DICOM image, found none but {what} in"):
            read_image(path)
    dicom_series(tmp_path, STACK)
    np.testing.assert_array_equal(read_image(tmp_path).array, STACK)


def test_a_cut_off_report_does_no_harm_and_a_cut_off_slice_is_named(tmp_path: Path) -> None:
    dicom_series(tmp_path, STACK)
    report = beside(tmp_path / "report", REPORT)
    report.write_bytes(report.read_bytes()[:-9])
    assert read_image(tmp_path).shape == STACK.shape
    path = tmp_path / "IM0002.dcm"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=r"IM0002.dcm: it is cut off"):
        read_image(tmp_path)


def test_a_radiation_dose_beside_a_scan_is_no_second_series(tmp_path: Path) -> None:
    dicom_series(tmp_path, STACK)
    dicom(tmp_path / "dose.dcm", STACK.astype(np.uint16), SOPClassUID=STORAGE + "481.2", SeriesInstanceUID="9.9")
    assert read_image(tmp_path).shape == STACK.shape


def test_a_directory_beside_the_slices_is_passed_over(tmp_path: Path) -> None:
    shutil.copy(cd(tmp_path / "cd", "1.2.3") / "DICOMDIR", tmp_path / "DICOMDIR")
    shutil.rmtree(tmp_path / "cd")
    shutil.rmtree(tmp_path / "source 1.2.3")
    dicom_series(tmp_path, STACK)
    np.testing.assert_array_equal(read_image(tmp_path).array, STACK)


def test_a_cd_opens_by_its_folder_and_by_its_directory(tmp_path: Path) -> None:
    root = cd(tmp_path / "cd", "1.2.3")
    (root / "README.txt").write_text("Please read me.")
    for path in (root, root / "DICOMDIR"):
        np.testing.assert_array_equal(read_image(path).array, STACK + 5)
    # Under Linux the names on a CD are often in lower case.
    (root / "DICOMDIR").rename(root / "dicomdir")
    np.testing.assert_array_equal(read_image(root).array, STACK + 5)


def test_a_cd_with_several_series_names_them(tmp_path: Path) -> None:
    root = cd(tmp_path / "cd", "1.2.3", "1.2.34")
    for path in (root, root / "DICOMDIR"):
        with pytest.raises(InputError, match=r"found 2 .*1.2.3 .*5 images.*; 1.2.34 .*5 images.*--series UID"):
            read_image(path)
        np.testing.assert_array_equal(read_image(path, series="1.2.34").array, STACK + 6)


def test_a_folder_of_folders_without_a_directory_names_them(tmp_path: Path) -> None:
    for name in ("first", "second"):
        dicom_series(tmp_path / name, STACK)
    with pytest.raises(InputError, match="give one of the folders in it: first, second"):
        read_image(tmp_path)


def test_a_file_without_a_suffix_is_known_by_its_content(tmp_path: Path) -> None:
    path = dicom(tmp_path / "IM0001", STACK[0])
    np.testing.assert_array_equal(read_image(path).array, STACK[0])
    assert output_paths([path], tmp_path / "out") == {path: tmp_path / "out" / "IM0001.nii.gz"}
    assert is_dicom_folder(tmp_path)


def test_a_file_without_a_preamble_is_read(tmp_path: Path) -> None:
    path = dicom(tmp_path / "IM0001", STACK[0])
    path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_image(path).array, STACK[0])
