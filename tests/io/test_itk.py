"""NRRD and MetaImage come in where ITK and 3D Slicer place them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tests.io_files import random_affine
from ultralightunet import InputError
from ultralightunet.io import read_image

FORMATS = {".nrrd": "nrrd", ".nhdr": "nrrd", ".mha": "metaimage", ".mhd": "metaimage"}


def itk_image(array: np.ndarray, affine: np.ndarray, *, vector: bool = False) -> sitk.Image:
    lps = np.diag((-1, -1, 1, 1)) @ affine
    image = sitk.GetImageFromArray(array, isVector=vector)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_volume_lies_where_itk_says_with_two_axes_turned(tmp_path: Path, suffix: str, packed: bool) -> None:
    random = np.random.default_rng(1)
    array, affine = random.integers(-900, 900, (3, 4, 5)).astype(np.int16), random_affine(random)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(itk_image(array, affine), str(path), useCompression=packed)
    volume = read_image(path)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.array.dtype == np.int16
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert (volume.source.format, volume.has_spacing) == (FORMATS[suffix], True)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_2d_stays_2d_and_colour_has_channels(tmp_path: Path, suffix: str) -> None:
    flat = sitk.GetImageFromArray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    flat.SetSpacing((0.5, 0.7))
    flat.SetOrigin((3, 4))
    sitk.WriteImage(flat, str(tmp_path / f"flat{suffix}"))
    volume = read_image(tmp_path / f"flat{suffix}")
    assert (volume.shape, volume.spacing) == ((3, 4), (0.7, 0.5))
    np.testing.assert_allclose((volume.affine @ (1, 1, 0, 1))[:3], (-3.5, -4.7, 0))
    values = np.random.default_rng(2).integers(0, 255, (2, 3, 4, 3)).astype(np.uint8)
    sitk.WriteImage(itk_image(values, np.eye(4), vector=True), str(tmp_path / f"colour{suffix}"))
    colour = read_image(tmp_path / f"colour{suffix}")
    assert (colour.shape, colour.channels) == ((2, 3, 4), 3)
    np.testing.assert_array_equal(colour.array, values)


NRRD = "NRRD0004\ntype: uint8\ndimension: {dimension}\n{fields}\nencoding: raw\n\n"


def nrrd(path: Path, array: np.ndarray, *fields: str) -> Path:
    head = NRRD.format(dimension=array.ndim, fields="\n".join(fields + (f"sizes: {' '.join(map(str, reversed(array.shape)))}",)))
    path.write_bytes(head.encode() + array.tobytes())
    return path


@pytest.mark.parametrize(("space", "signs"), [("left-posterior-superior", (-1, -1)), ("right-anterior-superior", (1, 1)), ("LAS", (-1, 1))])
def test_every_space_of_nrrd_ends_in_ras(tmp_path: Path, space: str, signs: tuple[int, int]) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    fields = (f"space: {space}", "space directions: (2,0,0) (0,3,0) (0,0,4)", "space origin: (10,20,30)", "kinds: domain domain domain")
    volume = read_image(nrrd(tmp_path / "scan.nrrd", array, *fields))
    expected = np.diag((*signs, 1, 1)) @ np.array([[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(volume.affine, expected)


def test_sheared_directions_of_nrrd_are_kept(tmp_path: Path) -> None:
    fields = ("space: RAS", "space directions: (1,0,0) (0.3,1,0) (0,0,2)", "space origin: (0,0,0)")
    volume = read_image(nrrd(tmp_path / "sheared.nrrd", np.zeros((2, 3, 4), np.uint8) + 1, *fields))
    np.testing.assert_allclose(volume.affine[:3, :3], [[1, 0.3, 0], [0, 1, 0], [0, 0, 2]], atol=1e-12)


def test_a_file_that_does_not_say_how_large_its_voxels_are_has_no_spacing(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert not read_image(nrrd(tmp_path / "bare.nrrd", array)).has_spacing
    assert read_image(nrrd(tmp_path / "sized.nrrd", array, "spacings: 1 1 1")).has_spacing


@pytest.mark.parametrize("last", [False, True])
def test_a_list_of_volumes_asks_for_one(tmp_path: Path, last: bool) -> None:
    array = np.random.default_rng(3).integers(0, 255, (2, 3, 4, 5)).astype(np.uint8)
    stored = np.ascontiguousarray(np.moveaxis(array, -1, 0)) if last else array
    directions = ["(1,0,0)", "(0,1,0)", "(0,0,2)"]
    directions.insert(3 if last else 0, "none")
    kinds = ["domain"] * 3
    kinds.insert(3 if last else 0, "list")
    fields = ("space: LPS", f"space directions: {' '.join(directions)}", f"kinds: {' '.join(kinds)}", "space origin: (0,0,0)")
    path = nrrd(tmp_path / "list.nrrd", stored, *fields)
    with pytest.raises(InputError, match=r"series of 5 .*--volume-index N"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, volume_index=3).array, array[..., 3])


def test_a_metaimage_in_four_dimensions_asks_for_a_volume(tmp_path: Path) -> None:
    array = np.random.default_rng(3).integers(0, 255, (5, 2, 3, 4)).astype(np.uint8)
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing((0.5, 0.6, 0.7, 1))
    sitk.WriteImage(image, str(tmp_path / "time.mha"))
    with pytest.raises(InputError, match="series of 5"):
        read_image(tmp_path / "time.mha")
    volume = read_image(tmp_path / "time.mha", volume_index=4)
    np.testing.assert_array_equal(volume.array, array[4])
    assert volume.spacing == pytest.approx((0.7, 0.6, 0.5))
    with pytest.raises(InputError, match="from 0 to 4, found 5"):
        read_image(tmp_path / "time.mha", volume_index=5)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(suffix, damage) for suffix in (".nrrd", ".mha") for damage in ("empty", "text", "cut", "cut packed", "no voxels")]
    + [(".nrrd", "complex")],
)
def test_damaged_files_are_named_in_one_sentence(tmp_path: Path, damage: str, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = tmp_path / f"whole{suffix}"
    array = np.random.default_rng(4).integers(0, 999, (8, 9, 10)).astype(np.complex64 if damage == "complex" else np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(whole), useCompression=damage == "cut packed")
    data = whole.read_bytes()
    sizes = {".nrrd": (b"sizes: 10 9 8", b"sizes: 0 9 8"), ".mha": (b"DimSize = 10 9 8", b"DimSize = 0 9 8")}[suffix]
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(
        {
            "empty": b"",
            "text": b"this is not an image\n" * 50,
            "complex": data,
            "no voxels": data.replace(*sizes),
        }.get(damage, data[: len(data) * 2 // 3])
    )
    capfd.readouterr()
    with pytest.raises(InputError, match="expected .* found ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("raw", "128000000000 bytes of voxels, found 5"), ("gzip", r"at most 1 GB .* claims 119.2 GB .*5 bytes")],
)
def test_a_header_that_claims_more_than_its_file_can_hold_asks_for_no_memory(tmp_path: Path, encoding: str, said: str) -> None:
    path = tmp_path / "huge.nrrd"
    path.write_text(f"NRRD0004\ntype: uint16\ndimension: 3\nsizes: 4000 4000 4000\nendian: little\nencoding: {encoding}\n\nshort")
    with pytest.raises(InputError, match=said):
        read_image(path)


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_a_header_without_its_data_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((2, 3, 4), np.uint8)), str(path))
    for other in tmp_path.iterdir():
        if other != path:
            other.unlink()
    with pytest.raises(InputError, match=r"scan\.[mn]h"):
        read_image(path)
