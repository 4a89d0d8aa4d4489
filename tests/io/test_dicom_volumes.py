"""Images at one place are sorted by what tells their volumes apart, and all of them are counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from tests.io_files import dicom, dicom_series, enhanced
from ultralightunet import InputError
from ultralightunet.io import read_image, read_series

SLICES, VOLUMES = 6, 3
RANDOM = np.random.default_rng(4)


def series(folder: Path, tags: Callable[[int, int, int], dict[str, Any]]) -> Path:
    """Three volumes of six slices in shuffled files; volume n has values n * 1000 and more, slice k is k * 10 brighter."""
    numbers = RANDOM.permutation(SLICES * VOLUMES)
    for n in range(VOLUMES):
        for k in range(SLICES):
            number = int(numbers[n * SLICES + k])
            plane = np.full((1, 4, 5), 1000 * n + 10 * k, np.int16)
            dicom_series(
                folder, plane, origin=(0, 0, 2.0 * k), names=[f"{number:03d}"], **({"InstanceNumber": number} | tags(n, k, number))
            )
    return folder


MARKS: dict[str, Callable[[int, int, int], dict[str, Any]]] = {
    "echo time": lambda n, k, number: {"EchoTime": [10, 20.5, 80][n]},
    "echo": lambda n, k, number: {"EchoNumbers": n + 1},
    "time point": lambda n, k, number: {"TemporalPositionIdentifier": n + 1},
    "acquisition": lambda n, k, number: {"AcquisitionNumber": n + 1},
    "b-value": lambda n, k, number: {"DiffusionBValue": [0.0, 500.0, 1000.0][n]},
    "sequence": lambda n, k, number: {"SequenceName": ["*ep_b0", "*ep_b1000#1", "*ep_b1000#2"][n]},
    "image type": lambda n, k, number: {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ABC"[n]]},
    "inversion time": lambda n, k, number: {"InversionTime": [100, 200, 300][n]},
    "trigger time": lambda n, k, number: {"TriggerTime": 100 * n + 7 * k},
    "time of day": lambda n, k, number: {"AcquisitionTime": f"1015{30 + 5 * n:02d}.{k}00000"},
    "number, volume by volume": lambda n, k, number: {"InstanceNumber": n * SLICES + k},
    "number, place by place": lambda n, k, number: {"InstanceNumber": k * VOLUMES + n},
    "number, backwards": lambda n, k, number: {"InstanceNumber": n * SLICES + SLICES - k},
    "b-value and time": lambda n, k, number: {"DiffusionBValue": [0.0, 900.0, 900.0][n], "AcquisitionTime": f"1015{30 + 5 * n:02d}.{k}"},
    "b-value and direction": lambda n, k, number: {
        "DiffusionBValue": [0.0, 900.0, 900.0][n],
        "DiffusionGradientOrientation": [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]][n],
    },
}


@pytest.mark.parametrize("tags", MARKS.values(), ids=MARKS)
def test_volumes_are_sorted_by_what_tells_them_apart(tmp_path: Path, tags: Callable[[int, int, int], dict[str, Any]]) -> None:
    folder = series(tmp_path, tags)
    for n in range(VOLUMES):
        np.testing.assert_array_equal(read_image(folder, volume_index=n).array[:, 0, 0], 1000 * n + 10 * np.arange(SLICES))
    with pytest.raises(InputError, match=r"series of 3.*--volume-index N \(0 to 2\)"):
        read_image(folder)


def test_the_sentence_names_what_tells_them_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a series of 3 \(echo time 10, 20.5, 80\) in"):
        read_image(series(tmp_path, MARKS["echo time"]))


def test_all_volumes_are_read_at_once(tmp_path: Path) -> None:
    first, volumes = read_series(series(tmp_path, MARKS["b-value"]))
    assert volumes is not None
    np.testing.assert_array_equal(volumes, [read_image(tmp_path, volume_index=n).array for n in range(VOLUMES)])
    np.testing.assert_array_equal(first.array, volumes[0])
    np.testing.assert_array_equal(first.affine, read_image(tmp_path, volume_index=0).affine)


NOTHING: dict[str, Callable[[int, int, int], dict[str, Any]]] = {
    "numbers in disorder": lambda n, k, number: {},
    "one number for all": lambda n, k, number: {"InstanceNumber": 1},
    "times in disorder": lambda n, k, number: {"AcquisitionTime": f"1015{number:02d}"},
    "other echoes at each place": lambda n, k, number: {"EchoTime": number},
}


@pytest.mark.parametrize("tags", NOTHING.values(), ids=NOTHING)
def test_volumes_that_nothing_tells_apart_are_refused(tmp_path: Path, tags: Callable[[int, int, int], dict[str, Any]]) -> None:
    folder = series(tmp_path, tags)
    for index in (None, 0):
        with pytest.raises(InputError, match=r"found 3 at each of 6 position.s. .* tells apart; give a folder"):
            read_image(folder, volume_index=index)


def test_marks_that_go_together_otherwise_at_each_place_are_refused(tmp_path: Path) -> None:
    def tags(n: int, k: int, number: int) -> dict[str, Any]:
        return {"EchoTime": [10, 20, 30][n], "FlipAngle": [5, 15, 25][(n + k) % 3]}

    with pytest.raises(InputError, match="tells apart"):
        read_image(series(tmp_path, tags), volume_index=0)


def test_slices_that_share_an_identifier_are_all_read(tmp_path: Path) -> None:
    stack = RANDOM.integers(0, 500, (5, 4, 5)).astype(np.int16)
    dicom_series(tmp_path, stack, SOPInstanceUID="1.2.3.9")
    np.testing.assert_array_equal(read_image(tmp_path).array, stack)
    shutil.copy(tmp_path / "IM0002.dcm", tmp_path / "copy.dcm")
    np.testing.assert_array_equal(read_image(tmp_path).array, stack)
    dicom_series(tmp_path, stack[:1] + 1, names=["another"], SOPInstanceUID="1.2.3.9")
    with pytest.raises(InputError, match="found from 1 to 2"):
        read_image(tmp_path)


def test_frames_of_enhanced_files_are_sorted_by_their_dimensions(tmp_path: Path) -> None:
    planes = np.arange(6, dtype=np.uint16)[:, None, None] * np.ones((6, 4, 5), np.uint16)
    heights, times = [0, 2, 4, 4, 0, 2], [2, 1, 2, 1, 1, 2]
    path = enhanced(tmp_path / "x.dcm", planes, heights)
    header = pydicom.dcmread(path)
    for group, height, time in zip(header.PerFrameFunctionalGroupsSequence, heights, times, strict=True):
        group.FrameContentSequence[0].DimensionIndexValues = [1, 1 + height // 2, time]
    header.save_as(path)
    assert read_image(path, volume_index=0).array[:, 0, 0].tolist() == [4, 1, 3]
    assert read_image(path, volume_index=1).array[:, 0, 0].tolist() == [0, 5, 2]


def test_frames_of_enhanced_files_are_sorted_by_their_echoes(tmp_path: Path) -> None:
    planes = np.arange(4, dtype=np.uint16)[:, None, None] * np.ones((4, 4, 5), np.uint16)
    path = enhanced(tmp_path / "x.dcm", planes, [0, 0, 2, 2])
    header = pydicom.dcmread(path)
    for group, time in zip(header.PerFrameFunctionalGroupsSequence, [80.0, 10.0, 10.0, 80.0], strict=True):
        echo = Dataset()
        echo.EffectiveEchoTime = time
        group.MREchoSequence = Items([echo])
    header.save_as(path)
    assert read_image(path, volume_index=0).array[:, 0, 0].tolist() == [1, 2]
    with pytest.raises(InputError, match=r"\(echo time 10, 80\)"):
        read_image(path)


def test_one_slice_without_a_position_is_named(tmp_path: Path) -> None:
    dicom_series(tmp_path, RANDOM.integers(0, 500, (5, 4, 5)).astype(np.int16))
    dicom(tmp_path / "lost.dcm", np.zeros((4, 5), np.int16), ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[0.7, 0.5])
    with pytest.raises(InputError, match=r"found 1 of 6 images without a position .* lost.dcm"):
        read_image(tmp_path)


def test_a_mosaic_is_refused_with_what_to_do(tmp_path: Path) -> None:
    mosaic = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], "SeriesInstanceUID": "1.9"}
    plane = RANDOM.integers(0, 500, (60, 60)).astype(np.int16)
    dicom(
        tmp_path / "mosaic.dcm",
        plane,
        PixelSpacing=[2, 2],
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        **mosaic,
    )
    with pytest.raises(InputError, match="a mosaic of many slices in one picture .* dcm2niix"):
        read_image(tmp_path)
    dicom_series(tmp_path, RANDOM.integers(0, 500, (5, 4, 5)).astype(np.int16))
    assert read_image(tmp_path, series="1.2.3.4").shape == (5, 4, 5)
