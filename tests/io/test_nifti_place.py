"""Labels lie on their NIfTI image in every program, whichever of the file's two transforms it prefers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from ultralightunet import InputError, OutputError, Segmentation, Volume
from ultralightunet.corrections import Store
from ultralightunet.io import check_target, read_image, read_labels, write_labels
from ultralightunet.metrics import compare
from ultralightunet.models import LabelClass

from ..io_files import blobs, quiet_itk, random_affine, rotation

CLASSES = (LabelClass(0, "background"), LabelClass(1, "bright"))

FIELDS = ("sform_code", "qform_code", "xyzt_units", *(f"{name}_{axis}" for name in ("srow", "qoffset") for axis in "xyz"))
FIELDS += tuple(f"quatern_{axis}" for axis in "bcd")


def nifti(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, codes: tuple[int, int] = (1, 1), **fields: Any) -> Path:
    """A file whose header says exactly what is asked of it."""
    array = np.random.default_rng(0).integers(0, 99, (6, 5, 4)).astype("<i2")
    header = fields.pop("kind", nib.Nifti1Header)()
    header.set_data_dtype("<i2")
    header.set_data_shape(array.shape)
    header["vox_offset"] = header.single_vox_offset
    header.set_xyzt_units("mm")
    if qform is not None:
        header.set_qform(qform, 1)
    if sform is not None:
        header.set_sform(sform, 1)
    header["sform_code"], header["qform_code"] = codes
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(4) + array.tobytes(order="F"))
    return path


def labels_of(image: Volume, folder: Path, name: str = "labels.nii.gz") -> Path:
    labels = blobs(np.random.default_rng(1), image.shape)
    return write_labels(Segmentation(labels, image.affine, source=image.source), folder / name)


def itk_place(path: Path) -> np.ndarray | None:
    """Where ITK puts some voxels, None where it does not open the file."""
    try:
        with quiet_itk():
            image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    return np.array([image.TransformIndexToPhysicalPoint(at) for at in ((0, 0, 0), (5, 0, 0), (0, 4, 0), (0, 0, 3))])


def some_affines(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two places for one image, with one voxel size."""
    random = np.random.default_rng(seed)
    first = random_affine(random)
    second = first.copy()
    second[:3, :3] = rotation(random) @ first[:3, :3]
    second[:3, 3] += random.uniform(-30, 30, 3)
    return first, second


@pytest.mark.parametrize("codes", [(1, 1), (4, 1), (2, 1), (1, 2), (3, 3), (2, 0), (0, 1), (0, 0), (5, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_both_transforms_and_codes_are_those_of_the_image(tmp_path: Path, seed: int, codes: tuple[int, int]) -> None:
    path = nifti(tmp_path / "scan.nii", *some_affines(seed), codes)
    labels = labels_of(read_image(path), tmp_path)
    with_image, with_labels = (nib.load(file).header for file in (path, labels))
    for name in FIELDS:
        np.testing.assert_array_equal(with_labels[name], with_image[name], err_msg=name)
    np.testing.assert_array_equal(with_labels["pixdim"][:4], with_image["pixdim"][:4])
    np.testing.assert_array_equal(nib.load(labels).affine, nib.load(path).affine)
    np.testing.assert_array_equal(itk_place(labels), itk_place(path))


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (1, 0), (2, 0)])
@pytest.mark.parametrize("shear", [1e-5, 1e-4, 3e-4, 1e-3, 0.05, 0.3])
def test_labels_of_a_sheared_image_open_everywhere(tmp_path: Path, shear: float, codes: tuple[int, int]) -> None:
    affine = random_affine(np.random.default_rng(4))
    affine[:3, 1] += shear * affine[:3, 0]
    path = nifti(tmp_path / "scan.nii", affine, affine, codes)
    labels = labels_of(read_image(path), tmp_path)
    np.testing.assert_array_equal(nib.load(labels).affine, nib.load(path).affine)
    of_image, of_labels = itk_place(path), itk_place(labels)
    assert of_labels is not None
    if of_image is not None:
        np.testing.assert_allclose(of_labels, of_image, atol=1e-4)
    else:
        nearest = nib.Nifti1Header()
        nearest.set_qform(affine)
        np.testing.assert_allclose(nib.load(labels).header.get_qform(), nearest.get_qform(), atol=1e-4)


@pytest.mark.parametrize("shear", [0, 3e-4, 0.3])
def test_without_a_file_the_nearest_rotation_stands_beside_the_affine(tmp_path: Path, shear: float) -> None:
    affine = random_affine(np.random.default_rng(5))
    affine[:3, 2] += shear * affine[:3, 0]
    path = write_labels(Segmentation(blobs(np.random.default_rng(1), (4, 5, 6)), affine), tmp_path / "labels.nii.gz")
    header = nib.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    np.testing.assert_allclose(header.get_sform(), affine, atol=1e-4)
    nearest = nib.Nifti1Header()
    nearest.set_qform(affine)
    np.testing.assert_allclose(header.get_qform(), nearest.get_qform(), atol=1e-4)
    assert itk_place(path) is not None


def test_labels_that_were_moved_lie_where_they_were_moved(tmp_path: Path) -> None:
    image = read_image(nifti(tmp_path / "scan.nii", *some_affines(0)))
    elsewhere = random_affine(np.random.default_rng(6))
    path = write_labels(Segmentation(np.ones(image.shape, np.uint8), elsewhere, source=image.source), tmp_path / "labels.nii")
    np.testing.assert_allclose(nib.load(path).affine, elsewhere, atol=1e-4)
    np.testing.assert_allclose(nib.load(path).header.get_qform(), elsewhere, atol=1e-4)


def test_what_was_drawn_in_a_program_that_prefers_the_other_transform_is_taken(tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii", *some_affines(0), (4, 1))
    image = read_image(path)
    with quiet_itk():
        drawn = sitk.ReadImage(str(path))
    drawn = sitk.Cast(drawn > 50, sitk.sitkUInt8)
    for name in ("drawn.nii.gz", "drawn.nrrd", "drawn.mha"):
        sitk.WriteImage(drawn, str(tmp_path / name))
        labels = read_labels(tmp_path / name)
        assert not np.allclose(labels.affine, image.affine, atol=1)
        revision = Store(tmp_path / f"store-{name}").add(image, labels, None, classes=CLASSES)
        np.testing.assert_array_equal(revision.labels().labels, labels.labels)
        np.testing.assert_allclose(revision.labels().affine, image.affine)
        ours = read_labels(write_labels(Segmentation(labels.labels, image.affine, source=image.source), tmp_path / "ours.nii"))
        assert [agreement.dice for agreement in compare(ours, labels)] == [1.0]
        assert [agreement.dice for agreement in compare(labels, ours)] == [1.0]
    elsewhere = Segmentation(labels.labels, labels.affine + np.eye(4, k=3) * 20)
    with pytest.raises(InputError, match="place"):
        Store(tmp_path / "other").add(image, elsewhere, None, classes=CLASSES)
    with pytest.raises(InputError, match="different places"):
        compare(ours, elsewhere)


def test_what_was_drawn_by_pixdim_on_a_header_that_contradicts_itself_is_taken(tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii", np.eye(4), None, (1, 0), pixdim=[1, 2, 2, 2, 0, 0, 0, 0])
    with quiet_itk():
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(path)) > 50, sitk.sitkUInt8), str(tmp_path / "drawn.nii.gz"))
    labels = read_labels(tmp_path / "drawn.nii.gz")
    assert labels.spacing == (2, 2, 2)
    revision = Store(tmp_path / "store").add(read_image(path), labels, None, classes=CLASSES)
    np.testing.assert_array_equal(revision.labels().affine, np.eye(4))


def test_two_sizes_in_one_header_are_told_of(tmp_path: Path) -> None:
    for sform, pixdim in ((np.eye(4), 2.0), (np.diag([2.0, 2, 2, 1]), 1.0), (np.diag([1.0, 1, 1.05, 1]), 1.0)):
        path = nifti(tmp_path / "scan.nii", sform, None, (1, 0), pixdim=[1, *[pixdim] * 3, 0, 0, 0, 0])
        volume = read_image(path)
        np.testing.assert_allclose(volume.affine, sform, rtol=1e-6)
        assert "contradicts itself" in volume.notes[0]
        assert f"{pixdim:g} x {pixdim:g} x {pixdim:g} mm" in volume.notes[0]
        labels = labels_of(volume, tmp_path)
        np.testing.assert_array_equal(itk_place(labels), itk_place(path))
        assert read_labels(labels).facts["notes"] == list(volume.notes)
    assert read_image(nifti(tmp_path / "scan.nii", *some_affines(0))).notes == ()


@pytest.mark.parametrize(("axis", "value"), [(0, 0.0), (0, 1.0), (1, -2.0), (2, -1.5), (3, -3.0)])
@pytest.mark.parametrize("codes", [(0, 1), (1, 1), (1, 0), (0, 0)])
def test_odd_signs_of_pixdim_are_kept_and_told_of(
    tmp_path: Path, codes: tuple[int, int], axis: int, value: float, capfd: pytest.CaptureFixture[str]
) -> None:
    place = np.diag((2, 1.5, 3, 1.0)) if codes == (0, 0) else some_affines(4)[0]
    path = nifti(tmp_path / "scan.nii", place, place, codes)
    block = bytearray(path.read_bytes())
    block[76 + 4 * axis : 80 + 4 * axis] = np.float32(value).tobytes()
    path.write_bytes(block)
    image = read_image(path)
    labels = labels_of(image, tmp_path)
    assert not capfd.readouterr().err
    if axis:
        assert "below zero" in " ".join(image.notes)
    np.testing.assert_allclose(nib.load(labels).affine, nib.load(path).affine)
    np.testing.assert_allclose(image.affine, nib.load(path).affine, atol=1e-6)
    with_image, with_labels = itk_place(path), itk_place(labels)
    if with_image is not None:
        np.testing.assert_allclose(with_labels, with_image, atol=1e-4)


@pytest.mark.parametrize(("code", "length"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (10, 1), (11, 0.001), (5, 1)])
def test_units_become_millimetres(tmp_path: Path, code: int, length: float) -> None:
    affine = np.diag([2 / length, 3 / length, 4 / length, 1])
    volume = read_image(nifti(tmp_path / "scan.nii", affine, affine, xyzt_units=code))
    np.testing.assert_allclose(volume.spacing, (4, 3, 2), rtol=1e-6)
    assert volume.notes == ()


def test_sizes_that_are_odd_in_a_unit_that_is_not_named_are_told_of(tmp_path: Path) -> None:
    for size in (0.001, 500.0):
        affine = np.diag([size, size, size, 1])
        assert "names no unit of length" in read_image(nifti(tmp_path / "scan.nii", affine, affine, xyzt_units=0)).notes[0]
        assert read_image(nifti(tmp_path / "scan.nii", affine, affine, xyzt_units=2)).notes == ()


def test_nifti_2_gives_labels_in_nifti_2_in_the_very_place(tmp_path: Path) -> None:
    affine = random_affine(np.random.default_rng(7))
    affine[:3, 3] = [123456.789012, -98765.4321, 1e5 + 1e-5]
    path = nifti(tmp_path / "scan.nii", affine, affine, kind=nib.Nifti2Header)
    image = read_image(path)
    labels = nib.load(labels_of(image, tmp_path))
    assert isinstance(labels, nib.Nifti2Image)
    np.testing.assert_array_equal(labels.affine, affine)
    assert isinstance(nib.load(labels_of(read_image(nifti(tmp_path / "one.nii", *some_affines(1))), tmp_path)), nib.Nifti1Image)


def test_a_file_that_cannot_hold_the_labels_is_refused_before_there_are_any(tmp_path: Path) -> None:
    sheared = random_affine(np.random.default_rng(8))
    sheared[:3, 1] += 0.2 * sheared[:3, 0]
    straight = read_image(nifti(tmp_path / "straight.nii", *some_affines(0)))
    image = read_image(nifti(tmp_path / "scan.nii", sheared, sheared))
    for suffix in (".nrrd", ".mha"):
        with pytest.raises(OutputError, match=r"sheared image .*write \.nii\.gz"):
            check_target(image, tmp_path / f"labels{suffix}")
        check_target(straight, tmp_path / f"labels{suffix}")
    for suffix in (".tif", ".png", ".seg.nrrd", ".txt"):
        with pytest.raises(OutputError, match="write|change the suffix"):
            check_target(straight, tmp_path / f"labels{suffix}")
    with pytest.raises(OutputError, match="labels would replace the image"):
        check_target(image, tmp_path / "scan.nii")
    check_target(image, tmp_path / "labels.nii.gz")
