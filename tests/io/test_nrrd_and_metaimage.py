"""NRRD and MetaImage come in where ITK and 3D Slicer place them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tests.io_files import random_affine
from ultralightunet import InputError, Segmentation
from ultralightunet.io import read_image, read_series, write_labels

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


def metaimage(path: Path, array: np.ndarray, *fields: str) -> Path:
    head = ["ObjectType = Image", f"NDims = {array.ndim}", *fields, f"DimSize = {' '.join(map(str, reversed(array.shape)))}"]
    head += ["ElementType = MET_UCHAR", "ElementDataFile = LOCAL", ""]
    path.write_bytes("\n".join(head).encode() + array.tobytes())
    return path


@pytest.mark.parametrize(("space", "signs"), [("left-posterior-superior", (-1, -1)), ("right-anterior-superior", (1, 1)), ("LAS", (-1, 1))])
def test_every_space_of_nrrd_ends_in_ras(tmp_path: Path, space: str, signs: tuple[int, int]) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    fields = (f"space: {space}", "space directions: (2,0,0) (0,3,0) (0,0,4)", "space origin: (10,20,30)", "kinds: domain domain domain")
    volume = read_image(nrrd(tmp_path / "scan.nrrd", array, *fields))
    expected = np.diag((*signs, 1, 1)) @ PLACED
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


PLACED = np.array([[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1.0]])
DIRECTIONS = ("space: left-posterior-superior", "space directions: (2,0,0) (0,3,0) (0,0,4)", "space origin: (10,20,30)")


@pytest.mark.parametrize(("unit", "length"), [("mm", 1), ("um", 1e-3), ("µm", 1e-3), ("cm", 10), ("m", 1000), ("inch", 25.4)])
def test_units_of_nrrd_and_metaimage_become_millimetres_and_labels_keep_them(tmp_path: Path, unit: str, length: float) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    quoted = f'space units: "{unit}" "{unit}" "{unit}"'
    metaimage(tmp_path / "scan.mha", array, "ElementSpacing = 2 3 4", "Offset = 10 20 30", f"DistanceUnits = {unit}")
    nrrd(tmp_path / "scan.nrrd", array, *DIRECTIONS, quoted)
    for suffix in (".nrrd", ".mha"):
        volume = read_image(tmp_path / f"scan{suffix}")
        np.testing.assert_allclose(volume.affine, np.diag((-length, -length, length, 1)) @ PLACED)
        assert (volume.has_spacing, volume.notes) == (True, ())
        labels = write_labels(Segmentation(array, volume.affine, source=volume.source), tmp_path / f"labels{suffix}")
        np.testing.assert_allclose(read_image(labels).affine, volume.affine)
        # Tools that pass over the unit see both at one place.
        image, written = sitk.ReadImage(str(tmp_path / f"scan{suffix}")), sitk.ReadImage(str(labels))
        assert written.GetSpacing() == pytest.approx(image.GetSpacing())
        assert written.GetOrigin() == pytest.approx(image.GetOrigin())


@pytest.mark.parametrize("units", ['"pixel" "pixel" "pixel"', '"mm" "mm" "s"', '"?" "?" "?"'])
def test_sizes_in_no_unit_of_length_are_not_known_and_told_of(tmp_path: Path, units: str) -> None:
    volume = read_image(nrrd(tmp_path / "scan.nrrd", np.ones((2, 3, 4), np.uint8), *DIRECTIONS, f"space units: {units}"))
    assert not volume.has_spacing
    assert "millimetres are not known" in volume.notes[0]
    other = read_image(metaimage(tmp_path / "scan.mha", np.ones((2, 3, 4), np.uint8), "ElementSpacing = 2 3 4", "DistanceUnits = ?"))
    assert not other.has_spacing
    assert "millimetres are not known" in other.notes[0]


def test_a_size_that_is_not_known_is_not_known_after_writing(tmp_path: Path) -> None:
    for suffix in (".nrrd", ".mha"):
        path = write_labels(Segmentation(np.ones((2, 3, 4), np.uint8), np.eye(4), has_spacing=False), tmp_path / f"labels{suffix}")
        assert not read_image(path).has_spacing
        np.testing.assert_array_equal(read_image(path).affine, np.eye(4))


def test_a_unit_without_sizes_moves_no_labels(tmp_path: Path) -> None:
    array = np.ones((2, 3, 4), np.uint8)
    nrrd(tmp_path / "scan.nrrd", array, 'units: "cm" "cm" "cm"')
    metaimage(tmp_path / "scan.mha", array, "DistanceUnits = cm", "Offset = 5 6 7")
    for suffix in (".nrrd", ".mha"):
        volume = read_image(tmp_path / f"scan{suffix}")
        assert not volume.has_spacing
        labels = write_labels(Segmentation(array, volume.affine, (), False, volume.source), tmp_path / f"labels{suffix}")
        places = [sitk.ReadImage(str(path)).TransformIndexToPhysicalPoint((3, 2, 1)) for path in (tmp_path / f"scan{suffix}", labels)]
        assert places[0] == pytest.approx(places[1]), suffix


@pytest.mark.parametrize(("space", "signs"), [("right-anterior-superior-time", (1, 1)), ("LAST", (-1, 1)), ("LPST", (-1, -1))])
def test_spaces_with_time_place_their_volumes_in_the_patient(tmp_path: Path, space: str, signs: tuple[int, int]) -> None:
    array = np.random.default_rng(3).integers(0, 255, (5, 2, 3, 4)).astype(np.uint8)
    directions = "space directions: (2,0,0,0) (0,3,0,0) (0,0,4,0) (0,0,0,1.5)"
    units = 'space units: "mm" "mm" "mm" "s"'
    path = nrrd(tmp_path / "time.nrrd", array, f"space: {space}", directions, "space origin: (10,20,30,0)", units)
    with pytest.raises(InputError, match="series of 5"):
        read_image(path)
    volume = read_image(path, volume_index=3)
    np.testing.assert_array_equal(volume.array, array[3])
    expected = np.diag((*signs, 1, 1)) @ PLACED
    np.testing.assert_allclose(volume.affine, expected)


def test_a_space_that_says_nothing_of_the_patient_is_told_of(tmp_path: Path) -> None:
    for space in ("space: scanner-xyz", "space: 3D-right-handed", "space dimension: 3"):
        path = nrrd(tmp_path / "scan.nrrd", np.ones((2, 3, 4), np.uint8), space, "space directions: (2,0,0) (0,3,0) (0,0,4)")
        volume = read_image(path)
        np.testing.assert_allclose(volume.affine, np.diag((-2, -3, 4, 1)))
        assert "read as left-posterior-superior" in volume.notes[0]


def test_a_slice_of_nrrd_may_stand_anywhere_in_space(tmp_path: Path) -> None:
    fields = ("space: RAS", "space directions: (0,2,0) (0,0,3)", "space origin: (1,2,3)")
    volume = read_image(nrrd(tmp_path / "slice.nrrd", np.ones((3, 4), np.uint8), *fields))
    np.testing.assert_allclose(volume.affine, [[0, 0, 1, 1], [2, 0, 0, 2], [0, 3, 0, 3], [0, 0, 0, 1]])


def test_two_sizes_in_one_metaimage_are_told_of(tmp_path: Path) -> None:
    array = np.ones((2, 3, 4), np.uint8)
    apart = read_image(metaimage(tmp_path / "a.mha", array, "ElementSpacing = 1 1 1", "ElementSize = 2 3 4"))
    assert apart.spacing == (1, 1, 1)
    assert "1 x 1 x 1 apart and are 2 x 3 x 4 large" in apart.notes[0]
    long = read_image(metaimage(tmp_path / "b.mha", array, "ElementSpacing = 1 1 1", "TransformMatrix = 2 0 0 0 2 0 0 0 2"))
    assert long.spacing == (2, 2, 2)
    assert "voxels of 2 x 2 x 2 were taken" in long.notes[0]
    assert read_image(metaimage(tmp_path / "c.mha", array, "ElementSize = 2 3 4")).spacing == (4, 3, 2)
    assert not read_image(metaimage(tmp_path / "d.mha", array, "Offset = 2 3 4")).has_spacing


@pytest.mark.parametrize("kind", ["complex", "vector"])
def test_voxels_that_are_no_numbers_or_colours_are_refused(tmp_path: Path, kind: str) -> None:
    array = np.ones((2, 3, 4, 2), np.float32)
    fields = ("space: LPS", f"kinds: {kind} domain domain domain", "space directions: none (1,0,0) (0,1,0) (0,0,1)")
    path = nrrd(tmp_path / "scan.nrrd", array, *fields)
    path.write_bytes(path.read_bytes().replace(b"type: uint8", b"type: float\nendian: little"))
    if kind == "complex":
        with pytest.raises(InputError, match="real numbers, found complex ones .*export its magnitude"):
            read_image(path)
    else:
        assert read_image(path).channels == 2


def test_what_programs_add_to_a_header_does_no_harm(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = nrrd(
        tmp_path / "scan.nrrd",
        array,
        "# a remark",
        "content: a: b",
        "modality:=MR: T1 \\n \\\\",
        "spacings: 1 1 2",
        "thicknesses: nan nan 2",
    )
    np.testing.assert_array_equal(read_image(path).array, array)
    added = ("Comment = x = y", "Modality = MET_MOD_MR", "ITK_InputFilterName=NiftiImageIO", "0008|0005 = ISO_IR 100")
    np.testing.assert_array_equal(read_image(metaimage(tmp_path / "scan.mha", array, *added)).array, array)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_series_that_itk_wrote_comes_in_whole(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(3).integers(0, 255, (5, 2, 3, 4)).astype(np.uint8)
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing((0.5, 0.6, 0.7, 1))
    image.SetOrigin((1, 2, 3, 0))
    sitk.WriteImage(image, str(tmp_path / f"time{suffix}"))
    first, volumes = read_series(tmp_path / f"time{suffix}")
    np.testing.assert_array_equal(volumes, array)
    np.testing.assert_array_equal(first.array, array[0])
    np.testing.assert_allclose(first.affine, [[-0.5, 0, 0, -1], [0, -0.6, 0, -2], [0, 0, 0.7, 3], [0, 0, 0, 1]])
    assert first.notes == ()
