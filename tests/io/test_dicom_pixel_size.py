"""How large a pixel of a DICOM image is: the size that the standard says counts, or "not known", said aloud."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from tests.io_files import FILM, dicom, dicom_series
from ultralightunet import Volume
from ultralightunet.io import read_image

STORAGE = "1.2.840.10008.5.1.4.1.1."
PROJECTIONS = {
    "CR": "1",
    "DX": "1.1",
    "MG": "1.2",
    "XA": "12.1",
    "RF": "12.2",
    "secondary capture": "7",
    "US": "6.1",
    "endoscopy": "77.1.1",
    "private": "99999",
}
PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)


def image(folder: Path, **tags: Any) -> Volume:
    return read_image(dicom(folder / "x.dcm", PIXELS, SOPClassUID=STORAGE + "1.1", Modality="DX", **tags))


def region(*, delta: tuple[float, float] = (0.02, 0.03), unit: int = 3, kind: int = 1) -> Dataset:
    """An ultrasound region; `delta` along x and y in cm."""
    item = Dataset()
    item.RegionSpatialFormat = kind
    item.RegionDataType = 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = unit
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta
    return item


def ultrasound(folder: Path, *regions: Dataset, **tags: Any) -> Volume:
    return image(folder, SequenceOfUltrasoundRegions=Items(regions), **tags)


@pytest.mark.parametrize("tail", PROJECTIONS.values(), ids=PROJECTIONS)
def test_a_volume_of_any_class_has_the_size_that_pixel_spacing_says(tmp_path: Path, tail: str) -> None:
    stack = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    dicom_series(tmp_path, stack, SOPClassUID=STORAGE + tail, pixel=(2, 1.5))
    volume = read_image(tmp_path)
    assert (volume.spacing, volume.has_spacing, volume.notes) == (pytest.approx((2.5, 2, 1.5)), True, ())


def test_the_calibrated_size_counts_before_that_at_the_detector(tmp_path: Path) -> None:
    for kind in ("GEOMETRY", "FIDUCIAL", None):
        volume = image(tmp_path, PixelSpacing=[0.1, 0.12], ImagerPixelSpacing=[0.2, 0.24], PixelSpacingCalibrationType=kind)
        assert (volume.spacing, volume.has_spacing, volume.notes) == (pytest.approx((0.1, 0.12)), True, ())


def test_the_size_at_the_detector_is_said_to_be_that(tmp_path: Path) -> None:
    for tags in ({}, {"PixelSpacing": [0.2, 0.24]}):
        volume = image(tmp_path, ImagerPixelSpacing=[0.2, 0.24], **tags)
        assert (volume.spacing, volume.has_spacing) == (pytest.approx((0.2, 0.24)), True)
        assert "at the detector, larger than in the patient" in volume.notes[0]


def test_an_estimated_magnification_makes_the_size_in_the_patient(tmp_path: Path) -> None:
    volume = image(tmp_path, ImagerPixelSpacing=[0.2, 0.24], EstimatedRadiographicMagnificationFactor=1.25)
    assert (volume.spacing, volume.has_spacing, volume.notes) == (pytest.approx((0.16, 0.192)), True, ())


def test_the_size_on_a_scanned_film_counts_where_nothing_else_is_said(tmp_path: Path) -> None:
    volume = image(tmp_path, NominalScannedPixelSpacing=[0.2, 0.24])
    assert (volume.spacing, volume.has_spacing) == (pytest.approx((0.2, 0.24)), True)
    assert "on the scanned film" in volume.notes[0]
    assert image(tmp_path, NominalScannedPixelSpacing=[0.2, 0.24], PixelSpacing=[1, 2]).spacing == (1, 2)


def test_sizes_that_contradict_each_other_are_warned_of(tmp_path: Path) -> None:
    (note,) = image(tmp_path, PixelSpacing=[2, 2], ImagerPixelSpacing=[1, 1]).notes
    assert "PixelSpacing of 2 x 2 mm was taken, although it is larger than that at the detector (1 x 1 mm)" in note
    tags = {"EstimatedRadiographicMagnificationFactor": 2, "PixelSpacingCalibrationType": "GEOMETRY"}
    (note,) = image(tmp_path, PixelSpacing=[0.8, 0.8], ImagerPixelSpacing=[1, 1], **tags).notes
    assert "although its magnification of 2 makes it 0.5 x 0.5 mm" in note


@pytest.mark.parametrize("wrong", [b"0\\0", b"-1\\1 ", b"0.5 ", b"0,5\\0,5", b"nan\\nan ", b"1\\1\\1 ", b"1e999\\1 "])
def test_a_size_that_is_none_is_not_known_and_said(tmp_path: Path, wrong: bytes) -> None:
    path = dicom(tmp_path / "x.dcm", PIXELS, PixelSpacing=[1.25, 1.25])
    data = path.read_bytes()
    where = data.index(b"1.25\\1.25 ")
    path.write_bytes(data[: where - 2] + len(wrong).to_bytes(2, "little") + wrong + data[where + 10 :])
    volume = read_image(path)
    assert (volume.has_spacing, volume.spacing) == (False, (1, 1))
    assert "PixelSpacing is " in volume.notes[0]


def test_an_image_that_says_nothing_has_no_size(tmp_path: Path) -> None:
    assert (image(tmp_path).has_spacing, image(tmp_path).notes) == (False, ())


def test_ultrasound_is_as_large_as_its_region_says(tmp_path: Path) -> None:
    volume = ultrasound(tmp_path, region())
    assert (volume.spacing, volume.has_spacing, volume.notes) == (pytest.approx((0.3, 0.2)), True, ())
    assert ultrasound(tmp_path, region(delta=(0.02, -0.03))).spacing == pytest.approx((0.3, 0.2))
    # A curve below the picture has no say, nor has a second picture of the same size.
    assert ultrasound(tmp_path, region(kind=3, unit=4), region(), region()).spacing == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize(
    ("regions", "tags", "said"),
    [
        ((region(), region(delta=(0.05, 0.05))), {}, r"pixels of several sizes \(0.3 x 0.2 mm, 0.5 x 0.5 mm\)"),
        ((region(unit=4),), {}, "not measured in centimetres"),
        ((region(delta=(0, 0)),), {}, "not measured in centimetres"),
        ((region(),), {"PixelSpacing": [1, 1]}, "region says 0.3 x 0.2 mm, its PixelSpacing 1 x 1 mm"),
    ],
)
def test_ultrasound_that_says_several_things_has_no_size(
    tmp_path: Path, regions: tuple[Dataset, ...], tags: dict[str, Any], said: str
) -> None:
    volume = ultrasound(tmp_path, *regions, **tags)
    assert not volume.has_spacing
    assert pytest.approx(volume.spacing) == (1, 1)
    (note,) = volume.notes
    assert re.search(said, note)
    assert "is not known" in note


def test_frames_that_follow_one_another_in_time_are_no_volume(tmp_path: Path) -> None:
    placed = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1], "SliceThickness": 3}
    stack = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
    volume = read_image(dicom(tmp_path / "x.dcm", stack, SOPClassUID=FILM, **placed))
    assert (volume.has_spacing, volume.spacing) == (True, (3, 1, 1))
    film = dicom(tmp_path / "x.dcm", stack, SOPClassUID=FILM, FrameIncrementPointer=0x00181063, FrameTime=40, **placed)
    assert not read_image(film).has_spacing
