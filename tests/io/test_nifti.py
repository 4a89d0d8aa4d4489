"""NIfTI images come in with their own values and geometry."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.io_files import random_affine, write_nii
from ultralightunet import InputError
from ultralightunet.io import read_image, read_series


def test_a_volume_has_nibabels_data_transposed_and_its_affine(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    array = random.integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    for suffix in (".nii", ".nii.gz", ".NII.GZ"):
        path = write_nii(tmp_path / f"scan{suffix}", array, random_affine(random))
        volume = read_image(path)
        stored = nib.load(path)
        assert volume.array.dtype == np.int16
        assert volume.array.flags.c_contiguous
        np.testing.assert_array_equal(volume.array, np.asarray(stored.dataobj).transpose(2, 1, 0))
        np.testing.assert_array_equal(volume.affine, stored.affine)
        np.testing.assert_allclose(volume.spacing, stored.header.get_zooms()[::-1], rtol=1e-5)
        assert volume.source.format == "nifti"
        assert volume.source.path == path


def test_slope_and_intercept_are_applied_in_single_precision(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = write_nii(tmp_path / "scaled.nii", array)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, -10], "<f4").tobytes()
    path.write_bytes(raw)
    volume = read_image(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, array * 0.5 - 10)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_unscaled_data_keep_their_type_in_this_machines_byte_order(tmp_path: Path, dtype: type) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    image = nib.Nifti1Image(array.T, np.eye(4), nib.Nifti1Header(endianness=">"))
    image.set_data_dtype(dtype)
    image.to_filename(tmp_path / "big.nii")
    volume = read_image(tmp_path / "big.nii")
    assert volume.array.dtype == dtype
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.array, array)


def test_a_2d_image_stays_2d_and_a_single_slice_stays_a_volume(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert read_image(write_nii(tmp_path / "flat.nii", array)).shape == (3, 4)
    assert read_image(write_nii(tmp_path / "slice.nii", array[np.newaxis])).shape == (1, 3, 4)


def test_trailing_single_axes_are_dropped(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(1, 1, 2, 3, 4)
    np.testing.assert_array_equal(read_image(write_nii(tmp_path / "five.nii", array)).array, array[0, 0])


def test_a_time_series_asks_for_a_volume_and_gives_it(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 99, (7, 2, 3, 4)).astype(np.int16)
    for name in ("time.nii", "time.nii.gz"):
        path = write_nii(tmp_path / name, array)
        with pytest.raises(InputError, match=r"series of 7 .*--volume-index N"):
            read_image(path)
        np.testing.assert_array_equal(read_image(path, volume_index=5).array, array[5])
        assert read_image(path, volume_index=5).array.dtype == np.int16
        for index in (7, -1):
            with pytest.raises(InputError, match=f"from 0 to 6, found {index}"):
                read_image(path, volume_index=index)


def test_the_volumes_of_five_axes_are_counted_through(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 99, (3, 2, 2, 3, 4)).astype(np.int16)
    path = write_nii(tmp_path / "five.nii", array)
    with pytest.raises(InputError, match="series of 6"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, volume_index=3).array, array[1, 1])


@pytest.mark.parametrize("parts", ["RGB", "RGBA"])
def test_colour_has_three_channels(tmp_path: Path, parts: str) -> None:
    values = np.random.default_rng(3).integers(0, 255, (2, 3, 4, len(parts))).astype(np.uint8)
    array = values.view([(part, "u1") for part in parts])[..., 0]
    volume = read_image(write_nii(tmp_path / "colour.nii.gz", array))
    assert (volume.channels, volume.shape) == (3, (2, 3, 4))
    np.testing.assert_array_equal(volume.array, values[..., :3])


def test_the_sform_goes_before_the_qform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 3, 2), np.uint8), None)
    image.set_sform(np.diag([2, 3, 4, 1]), 2)
    image.set_qform(np.diag([-2, 3, -4, 1]), 1)
    image.to_filename(tmp_path / "both.nii")
    volume = read_image(tmp_path / "both.nii")
    np.testing.assert_array_equal(volume.affine, np.diag([2, 3, 4, 1]))
    assert (volume.source.header["sform_code"], volume.source.header["qform_code"]) == (2, 1)


def test_without_either_form_the_affine_is_nibabels(tmp_path: Path) -> None:
    path = write_nii(tmp_path / "none.nii", np.zeros((2, 3, 4), np.uint8), sform_code=0, qform_code=0, pixdim=[1, 2, 3, 4, 0, 0, 0, 0])
    np.testing.assert_array_equal(read_image(path).affine, nib.load(path).affine)


def test_metres_and_micrometres_become_millimetres(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 3, 2), np.uint8), np.diag([500, 500, 2000, 1]))
    image.header.set_xyzt_units("micron")
    image.to_filename(tmp_path / "micro.nii")
    assert read_image(tmp_path / "micro.nii").spacing == pytest.approx((2.0, 0.5, 0.5))


def test_a_damaged_affine_is_refused_by_name(tmp_path: Path) -> None:
    array = np.zeros((2, 3, 4), np.uint8)
    cases = {
        "zero": {"srow_x": [0, 0, 0, 0]},
        "singular": {"srow_x": [0, 1, 0, 0]},
        "nan": {"srow_y": [0, np.nan, 0, 0]},
        "size": {"sform_code": 0, "pixdim": [1, 1, 0, 1, 0, 0, 0, 0]},
    }
    for name, header in cases.items():
        path = write_nii(tmp_path / f"{name}.nii", array)
        image = nib.load(path)
        for field, value in header.items():
            image.header[field] = value
        with path.open("wb") as file:
            file.write(image.header.binaryblock + bytes(4) + array.tobytes())
        with pytest.raises(InputError, match=f"{name}.nii"):
            read_image(path)


def _truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _bit_flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 16]) + data[len(data) // 2 + 1 :]


def _huge(data: bytes) -> bytes:
    return data[:42] + np.array([32000] * 3, "<i2").tobytes() + data[48:]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("damage", ["empty", "text", "cut", "header only", "flipped", "huge", "complex", "no voxels"])
def test_damaged_files_are_named_in_one_sentence(tmp_path: Path, damage: str, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = tmp_path / "whole.nii"
    write_nii(whole, np.random.default_rng(4).integers(0, 999, (8, 9, 10)).astype(np.complex64 if damage == "complex" else np.int16))
    plain = whole.read_bytes()
    pack = gzip.compress if suffix == ".nii.gz" else bytes
    data = {
        "empty": b"",
        "text": b"this is not an image\n" * 50,
        "cut": _truncated(pack(plain)),
        "header only": pack(plain[:352]),
        "flipped": _bit_flipped(gzip.compress(plain)),
        "huge": pack(_huge(plain)),
        "complex": pack(plain),
        "no voxels": pack(plain[:42] + bytes(2) + plain[44:]),
    }[damage]
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError, match="expected .* found ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_wrong_suffix_between_packed_and_plain_does_no_harm(tmp_path: Path) -> None:
    path = write_nii(tmp_path / "scan.nii", np.ones((2, 3, 4), np.uint8))
    (tmp_path / "plain.nii.gz").write_bytes(path.read_bytes())
    (tmp_path / "packed.nii").write_bytes(gzip.compress(path.read_bytes()))
    assert read_image(tmp_path / "plain.nii.gz").shape == read_image(tmp_path / "packed.nii").shape == (2, 3, 4)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_what_other_programs_read_too_is_read(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(5).integers(0, 99, (4, 5, 6)).astype(np.int16)
    plain = bytearray(write_nii(tmp_path / "whole.nii", array).read_bytes())
    pack = gzip.compress if suffix == ".nii.gz" else bytes
    path = tmp_path / f"scan{suffix}"
    plain[40:56] = np.array([4, 6, 5, 4, 0, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(pack(plain))
    np.testing.assert_array_equal(read_image(path).array, array)
    path.write_bytes(pack(plain + b"left over"))
    volume = read_image(path)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.notes == ("9 bytes behind the voxels that the header tells of were passed over",)
    if suffix == ".nii.gz":
        path.write_bytes(pack(plain) + b"behind the stream")
        assert read_image(path).notes == ()
        path.write_bytes(pack(plain[:200]) + pack(plain[200:]))
        np.testing.assert_array_equal(read_image(path).array, array)


def test_bits_that_contradict_the_type_are_told_of(tmp_path: Path) -> None:
    path = write_nii(tmp_path / "scan.nii", np.zeros((4, 5, 6), np.int16))
    data = bytearray(path.read_bytes())
    data[72] = 8
    path.write_bytes(data)
    assert read_image(path).notes == ("the header contradicts itself: it says 8 bits a voxel and the type int16, which was taken",)


def test_complex_numbers_are_named(tmp_path: Path) -> None:
    path = write_nii(tmp_path / "scan.nii.gz", np.zeros((4, 5, 6), np.complex64))
    with pytest.raises(InputError, match=r"expected voxels that are real numbers, found complex64 in .*scan.*; export its magnitude"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_all_volumes_of_a_series_are_read_in_one_pass(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(2).integers(0, 99, (7, 2, 3, 4)).astype(np.int16)
    first, volumes = read_series(write_nii(tmp_path / f"time{suffix}", array))
    np.testing.assert_array_equal(volumes, array)
    np.testing.assert_array_equal(first.array, array[0])
    single, none = read_series(write_nii(tmp_path / f"one{suffix}", array[0]))
    assert none is None
    np.testing.assert_array_equal(single.array, array[0])
    colours = np.random.default_rng(3).integers(0, 255, (5, 2, 3, 4, 3)).astype(np.uint8).view([(c, "u1") for c in "RGB"])[..., 0]
    first, volumes = read_series(write_nii(tmp_path / f"colour{suffix}", colours))
    assert (first.channels, first.shape, volumes.shape) == (3, (2, 3, 4), (5, 2, 3, 4, 3))
    (tmp_path / f"cut{suffix}").write_bytes((tmp_path / f"time{suffix}").read_bytes()[:-9])
    with pytest.raises(InputError, match="cut"):
        read_series(tmp_path / f"cut{suffix}")


def test_a_small_packed_file_that_claims_much_takes_no_memory(tmp_path: Path) -> None:
    plain = bytearray(write_nii(tmp_path / "scan.nii", np.zeros((4, 5, 6), np.int16)).read_bytes())
    plain[40:48] = np.array([3, 2000, 2000, 2000], "<i2").tobytes()
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(plain))
    with pytest.raises(InputError, match=r"at most 1 GB in memory, found a header that claims 14\.9 GB .*--max-memory"):
        read_image(tmp_path / "scan.nii.gz")
