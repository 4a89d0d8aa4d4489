"""A DICOM series becomes a volume whose voxels lie where the scanner says."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from tests.io_files import FILM, REPORT, dicom, dicom_series, enhanced, rotation
from ultralightunet import InputError, Segmentation, Volume
from ultralightunet.io import is_dicom_folder, read_image

MARK = (5, 2, 1)
"""Voxel (i, j, k) that is brighter than all others."""


def marked(slices: int = 4) -> np.ndarray:
    stack = np.random.default_rng(0).integers(0, 500, (slices, 5, 7)).astype(np.int16)
    stack[MARK[::-1]] = 2000
    return stack


def place_of_mark(volume: Volume) -> np.ndarray:
    """RAS mm of the brightest voxel."""
    found = np.unravel_index(volume.array.argmax(), volume.array.shape)[::-1]
    return (volume.affine @ (*found, 0, 1)[:3] if len(found) == 2 else volume.affine @ (*found, 1))[:3]


def expected_place(lps: np.ndarray) -> np.ndarray:
    return (np.diag((-1, -1, 1, 1)) @ lps @ (*MARK, 1))[:3]


def orientations() -> dict[str, list[float]]:
    turned = rotation(np.random.default_rng(5))
    return {
        "axial": [1, 0, 0, 0, 1, 0],
        "sagittal": [0, 1, 0, 0, 0, -1],
        "coronal": [1, 0, 0, 0, 0, -1],
        "normal to the feet": [-1, 0, 0, 0, 1, 0],
        "oblique": [*turned[:, 0], *turned[:, 1]],
    }


@pytest.mark.parametrize("order", ["along the normal", "against the normal", "tilted gantry", "shuffled names", "numbers reversed"])
@pytest.mark.parametrize("name", orientations())
def test_a_marked_voxel_is_where_the_scanner_put_it(tmp_path: Path, name: str, order: str) -> None:
    orientation = orientations()[name]
    normal = np.cross(orientation[:3], orientation[3:])
    step = {"against the normal": -1.3 * normal, "tilted gantry": 2.0 * normal + 0.7 * np.array(orientation[3:])}.get(order)
    names = ["c", "a.dcm", "d.ima", "1.2.840.7"] if order == "shuffled names" else None
    numbers = [9, 7, 5, 3] if order == "numbers reversed" else None
    stack = marked()
    lps = dicom_series(tmp_path / "series", stack, orientation=orientation, step=step, names=names, numbers=numbers)
    volume = read_image(tmp_path / "series")
    np.testing.assert_allclose(place_of_mark(volume), expected_place(lps), atol=1e-3)
    slices = volume.array[::-1] if order == "against the normal" else volume.array
    np.testing.assert_array_equal(slices, stack)
    assert volume.array.dtype == np.int16
    assert volume.source.format == "dicom"
    assert volume.has_spacing


def test_itk_and_this_reader_place_a_straight_series_alike(tmp_path: Path) -> None:
    turned = rotation(np.random.default_rng(6))
    dicom_series(tmp_path, marked(), orientation=[*turned[:, 0], *turned[:, 1]])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    volume = read_image(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    x, y, z = image.TransformIndexToPhysicalPoint((6, 4, 3))
    np.testing.assert_allclose((volume.affine @ (6, 4, 3, 1))[:3], (-x, -y, z), atol=1e-3)


def test_labels_of_a_series_saved_as_nifti_lie_where_the_image_does(tmp_path: Path) -> None:
    normal = np.array([0, 0, 1.0])
    for case, step in {"straight": 2 * normal, "reversed": -2 * normal, "tilted": 2 * normal + (0, 0.5, 0)}.items():
        lps = dicom_series(tmp_path / case, marked(), step=step)
        volume = read_image(tmp_path / case)
        labels = (volume.array == volume.array.max()).astype(np.uint8)
        written = read_image(Segmentation(labels, volume.affine, source=volume.source).save(tmp_path / f"{case}.nii.gz"))
        np.testing.assert_allclose(place_of_mark(written), expected_place(lps), atol=1e-3)


def test_each_slice_is_rescaled_by_its_own_slope_and_intercept(tmp_path: Path) -> None:
    stack = np.full((3, 4, 5), 100, np.int16)
    dicom_series(tmp_path, stack[:1], RescaleSlope=1, RescaleIntercept=-1024)
    assert (read_image(tmp_path).array == -924).all()
    assert read_image(tmp_path).array.dtype == np.int16
    for k, slope in enumerate((1, 0.25, 3)):
        dicom(
            tmp_path / f"IM{k:04d}.dcm",
            stack[k],
            RescaleSlope=slope,
            RescaleIntercept=k,
            ImagePositionPatient=[0, 0, k],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
        )
    volume = read_image(tmp_path)
    np.testing.assert_allclose(volume.array[:, 0, 0], [100, 26, 302])
    assert volume.array.dtype == np.float32


def test_values_past_16_bits_are_kept(tmp_path: Path) -> None:
    stack = np.array([0, 40000, 65535], np.uint16).reshape(3, 1, 1) * np.ones((3, 4, 4), np.uint16)
    dicom_series(tmp_path, stack, RescaleSlope=2, RescaleIntercept=-10)
    np.testing.assert_array_equal(read_image(tmp_path).array[:, 0, 0], [-10, 79990, 131060])


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    dicom_series(tmp_path, marked(), SeriesInstanceUID="1.1", SeriesDescription="Thin chest")
    dicom_series(tmp_path, marked(3), SeriesInstanceUID="2.2", SeriesDescription="Scout", names=["x", "y", "z"])
    with pytest.raises(InputError, match=r"found 2 .*1\.1 \(Thin chest, 4 images\); 2\.2 \(Scout, 3 images\); .*--series UID"):
        read_image(tmp_path)
    assert read_image(tmp_path, series="2.2").shape == (3, 5, 7)
    with pytest.raises(InputError, match=r"the series 3\.3, found 2 .*1\.1"):
        read_image(tmp_path, series="3.3")


def test_series_goes_with_dicom_only(tmp_path: Path) -> None:
    (tmp_path / "x.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(InputError, match="leave out --series"):
        read_image(tmp_path / "x.nrrd", series="1")


def test_a_missing_slice_is_noticed(tmp_path: Path) -> None:
    dicom_series(tmp_path, marked(8), skip=[3, 4])
    with pytest.raises(InputError, match=r"every 2.5 mm, found a gap of 7.5 mm after slice 3 of 6 .*2 missing"):
        read_image(tmp_path)


def test_uneven_slices_are_refused(tmp_path: Path) -> None:
    for k, height in enumerate((0, 2, 4, 5, 6, 8)):
        dicom_series(tmp_path, marked()[:1], origin=(0, 0, height), names=[f"{k}"])
    with pytest.raises(InputError, match=r"evenly spaced slices, found gaps from 1 to 2 mm"):
        read_image(tmp_path)


def test_slices_shifted_sideways_are_refused(tmp_path: Path) -> None:
    for k, shift in enumerate((0, 0, 3, 0)):
        dicom_series(tmp_path, marked()[:1], origin=(shift, 0, k), names=[f"{k}"])
    with pytest.raises(InputError, match="shifted sideways"):
        read_image(tmp_path)


def test_positions_rounded_to_hundredths_are_even_enough(tmp_path: Path) -> None:
    for k in range(9):
        dicom_series(tmp_path, marked()[:1], origin=(0, 0, round(k * 0.6667, 2)), names=[f"{k}"])
    assert read_image(tmp_path).spacing[0] == pytest.approx(0.6667, abs=2e-3)


def test_mixed_orientations_and_sizes_are_refused(tmp_path: Path) -> None:
    dicom_series(tmp_path / "turned", marked())
    dicom_series(tmp_path / "turned", marked()[:1], orientation=[0, 1, 0, 0, 0, -1], names=["scout"])
    with pytest.raises(InputError, match="parallel slices"):
        read_image(tmp_path / "turned")
    dicom_series(tmp_path / "sizes", marked())
    dicom_series(tmp_path / "sizes", np.zeros((1, 9, 9), np.int16), names=["big"], origin=(0, 0, 90))
    with pytest.raises(InputError, match="one kind and size, found 7x5, 9x9"):
        read_image(tmp_path / "sizes")


def test_volumes_at_one_place_are_told_apart_by_index(tmp_path: Path) -> None:
    stack = marked()
    for time in range(3):
        dicom_series(tmp_path, stack + time, names=[f"{2 - time}{k}" for k in range(4)], AcquisitionNumber=time)
    with pytest.raises(InputError, match=r"series of 3 .*--volume-index N"):
        read_image(tmp_path)
    np.testing.assert_array_equal(read_image(tmp_path, volume_index=2).array, stack + 2)
    with pytest.raises(InputError, match="from 0 to 2, found 3"):
        read_image(tmp_path, volume_index=3)
    dicom_series(tmp_path, stack[:1], names=["one more"], AcquisitionNumber=3)
    with pytest.raises(InputError, match="from 3 to 4"):
        read_image(tmp_path, volume_index=0)


def test_a_file_copied_twice_counts_once(tmp_path: Path) -> None:
    dicom_series(tmp_path, marked())
    shutil.copy(tmp_path / "IM0002.dcm", tmp_path / "copy of 2.dcm")
    assert read_image(tmp_path).shape == (4, 5, 7)


def test_reports_directories_and_other_files_are_passed_over(tmp_path: Path) -> None:
    dicom_series(tmp_path, marked())
    dicom(tmp_path / "report.dcm", marked()[0], SOPClassUID=REPORT, PixelData=None, Rows=None, Columns=None, SeriesInstanceUID="9.9")
    shutil.copy(get_testdata_file("DICOMDIR"), tmp_path / "DICOMDIR")
    (tmp_path / "notes.txt").write_text("read me")
    (tmp_path / "._IM0001.dcm").write_bytes(b"left by macOS")
    (tmp_path / "deeper").mkdir()
    assert read_image(tmp_path).shape == (4, 5, 7)


@pytest.mark.parametrize("damage", ["empty", "text", "cut in its pixels", "cut in its header"])
def test_a_damaged_slice_is_named_not_left_out(tmp_path: Path, damage: str) -> None:
    dicom_series(tmp_path, marked())
    last = tmp_path / "IM0003.dcm"
    data = last.read_bytes()
    last.write_bytes({"empty": b"", "text": b"text" * 99, "cut in its pixels": data[:-9], "cut in its header": data[:420]}[damage])
    with pytest.raises(InputError, match=r"found a damaged .*IM0003\.dcm"):
        read_image(tmp_path)


def test_a_folder_without_dicom_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none in"):
        read_image(tmp_path)
    dicom_series(tmp_path / "study" / "SE1", marked())
    with pytest.raises(InputError, match="give one of the folders in it: SE1"):
        read_image(tmp_path / "study")
    assert is_dicom_folder(tmp_path / "study" / "SE1")
    assert not is_dicom_folder(tmp_path / "study")
    assert not is_dicom_folder(tmp_path / "nowhere")


def test_one_file_is_one_slice_in_its_place(tmp_path: Path) -> None:
    turned = rotation(np.random.default_rng(7))
    lps = dicom_series(tmp_path, marked(), orientation=[*turned[:, 0], *turned[:, 1]])
    volume = read_image(tmp_path / "IM0001.dcm")
    assert (volume.shape, volume.spacing) == ((5, 7), pytest.approx((0.7, 0.5)))
    np.testing.assert_allclose((volume.affine @ (*MARK[:2], 0, 1))[:3], expected_place(lps), atol=1e-3)


def test_an_image_without_pixel_size_or_place_is_a_picture(tmp_path: Path) -> None:
    array = np.random.default_rng(8).integers(0, 255, (6, 9, 3)).astype(np.uint8)
    volume = read_image(dicom(tmp_path / "us.dcm", array, Modality="US", SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1"))
    assert (volume.shape, volume.channels, volume.has_spacing) == ((6, 9), 3, False)
    np.testing.assert_array_equal(volume.array, array)
    dicom(tmp_path / "us2.dcm", array)
    with pytest.raises(InputError, match="2 images without a position"):
        read_image(tmp_path)


def test_a_film_is_a_stack_without_spacing(tmp_path: Path) -> None:
    array = np.random.default_rng(8).integers(0, 255, (4, 6, 9)).astype(np.uint8)
    volume = read_image(dicom(tmp_path / "film.dcm", array, SOPClassUID=FILM))
    assert (volume.shape, volume.has_spacing) == ((4, 6, 9), False)
    np.testing.assert_array_equal(volume.array, array)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_the_frames_of_an_enhanced_file_are_sorted_by_place(tmp_path: Path, order: list[int]) -> None:
    stack = marked().astype(np.uint16)
    path = enhanced(tmp_path / "enhanced.dcm", stack[order], [30 + 2.5 * n for n in order])
    volume = read_image(path)
    np.testing.assert_array_equal(volume.array, stack)
    np.testing.assert_allclose(place_of_mark(volume), (-10 - 0.5 * MARK[0], -20 - 0.7 * MARK[1], 30 + 2.5 * MARK[2]), atol=1e-3)


def test_enhanced_files_may_hold_several_volumes_and_slopes(tmp_path: Path) -> None:
    planes = np.arange(6, dtype=np.uint16)[:, None, None] * np.ones((6, 4, 5), np.uint16)
    path = enhanced(tmp_path / "two.dcm", planes, [0, 0, 2, 2, 4, 4], slopes=[2, 1, 2, 1, 2, 1])
    with pytest.raises(InputError, match="series of 2"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, volume_index=0).array[:, 0, 0], [3, 7, 11])
    np.testing.assert_array_equal(read_image(path, volume_index=1).array[:, 0, 0], [4, 6, 8])
    with pytest.raises(InputError, match="missing slice"):
        read_image(enhanced(tmp_path / "gap.dcm", planes[:4], [0, 1, 2, 4]))


def test_dicom_is_read_without_pydicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dicom_series(tmp_path / "series", marked())
    path = enhanced(tmp_path / "enhanced.dcm", marked().astype(np.uint16), [0, 1, 2, 3])
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert read_image(tmp_path / "series").shape == (4, 5, 7)
    assert read_image(path).shape == (4, 5, 7)


def test_a_segmentation_object_is_no_image() -> None:
    with pytest.raises(InputError, match="found none"):
        read_image(get_testdata_file("liver_1frame.dcm"))


def test_nothing_of_the_patient_is_kept_and_nothing_is_said_on_the_way(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dicom_series(tmp_path / "series", marked(), PatientBirthDate="19700101")
    volume = read_image(tmp_path / "series")
    assert dict(volume.source.header) == {"modality": "CT"}
    saved = Segmentation((volume.array > 900).astype(np.uint8), volume.affine, source=volume.source).save(tmp_path / "labels.nii")
    for secret in (b"Secret", b"4711", b"19700101", b"series"):
        assert secret not in saved.read_bytes()
    assert capfd.readouterr() == ("", "")


def test_a_description_in_another_alphabet_can_be_shown(tmp_path: Path) -> None:
    for n in range(2):
        dicom_series(tmp_path, marked()[:1], names=[f"{n}"], SeriesInstanceUID=generate_uid(), SeriesDescription="Schaedel")
    data = (tmp_path / "0").read_bytes()
    (tmp_path / "0").write_bytes(data.replace(b"Schaedel", b"Sch\xe4del "))
    with pytest.raises(InputError, match="Sch") as caught:
        read_image(tmp_path)
    str(caught.value).encode("utf-8")
