"""Files that one series holds by mistake are refused, and slices that say less than the others are told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.io_files import dicom, dicom_series
from ultralightunet import InputError
from ultralightunet.io import read_image

STACK = np.random.default_rng(2).integers(0, 900, (4, 5, 6)).astype(np.int16)


def change(path: Path, **tags: Any) -> None:
    header = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    header.save_as(path)


@pytest.mark.parametrize(("tag", "what"), [("PatientID", "patient"), ("StudyInstanceUID", "study")])
def test_slices_of_two_under_one_series_are_refused(tmp_path: Path, tag: str, what: str) -> None:
    dicom_series(tmp_path / "scan", STACK)
    for number, path in enumerate(sorted((tmp_path / "scan").iterdir())):
        change(path, **{tag: f"1.{number // 2}"})
    with pytest.raises(InputError, match=f"expected a series of one {what}, found {-(-len(STACK) // 2)} under one"):
        read_image(tmp_path / "scan")


def test_slices_that_contradict_each_other_are_told_of(tmp_path: Path) -> None:
    dicom_series(tmp_path / "scan", STACK, RescaleSlope=1, RescaleIntercept=-1000, FrameOfReferenceUID="1.2")
    first, second, *_ = sorted((tmp_path / "scan").iterdir())
    assert read_image(tmp_path / "scan").notes == ()
    change(first, RescaleSlope=None, RescaleIntercept=None)
    change(second, FrameOfReferenceUID="1.3")
    with second.open("ab") as file:
        file.write(b"eight bytes, and more")
    notes = " ".join(read_image(tmp_path / "scan").notes)
    assert f"1 of its {len(STACK)} files do not say how their values are scaled, {first.name}" in notes
    assert "several frames of reference" in notes
    assert f"have bytes behind the pixels that are nothing known, {second.name}" in notes


def test_padding_and_elements_behind_the_pixels_are_no_damage(tmp_path: Path) -> None:
    path = dicom(tmp_path / "x.dcm", STACK[0], DataSetTrailingPadding=bytes(20))
    assert read_image(path).notes == ()
    path = dicom(tmp_path / "x.dcm", STACK[0])
    path.write_bytes(path.read_bytes() + bytes(300))
    assert read_image(path).notes == ()
