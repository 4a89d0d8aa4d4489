"""Labels written to a file come back the same, in the same place, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from tests.io_files import blobs, dicom_series, random_affine, write_nii
from ultralightunet import InputError, OutputError, Segmentation
from ultralightunet.io import output_suffix, read_image, read_labels, write_labels, writing
from ultralightunet.volume import Source

MEDICAL = (".nii", ".nii.gz", ".nrrd", ".mha")


def itk_place(image: sitk.Image, index: tuple[int, ...]) -> np.ndarray:
    x, y, z = image.TransformIndexToPhysicalPoint([int(i) for i in index])
    return np.array([-x, -y, z])


@pytest.mark.parametrize("suffix", MEDICAL)
@pytest.mark.parametrize("seed", range(12))
def test_every_voxel_is_in_the_same_place_for_nibabel_and_for_itk(tmp_path: Path, seed: int, suffix: str) -> None:
    random = np.random.default_rng(seed)
    affine = random_affine(random, oblique=seed % 3 > 0)
    labels = blobs(random, random.integers(2, 9, 3), top=3 if seed % 2 else 300, dtype=np.uint8 if seed % 2 else np.uint16)
    path = write_labels(Segmentation(labels, affine), tmp_path / f"labels{suffix}")
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels)
    assert image.GetPixelIDValue() == (sitk.sitkUInt8 if seed % 2 else sitk.sitkUInt16)
    corners = [(0, 0, 0), tuple(size - 1 for size in labels.shape[::-1])]
    for corner in corners:
        np.testing.assert_allclose(itk_place(image, corner), (affine @ (*corner, 1))[:3], atol=1e-3)
    if suffix.startswith(".nii"):
        stored = nib.load(path)
        np.testing.assert_array_equal(np.asarray(stored.dataobj), labels.T)
        for form in (stored.affine, stored.get_qform(), stored.get_sform()):
            np.testing.assert_allclose(form, affine, atol=1e-4)


@pytest.mark.parametrize("suffix", MEDICAL)
def test_2d_stays_2d_where_the_plane_says_all_and_keeps_its_place_where_not(tmp_path: Path, suffix: str) -> None:
    labels = blobs(np.random.default_rng(1), (5, 7))
    flat = np.array([[-0.5, 0, 0, 3], [0, 0.7, 0, 4], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    found = read_image(write_labels(Segmentation(labels, flat), tmp_path / f"flat{suffix}"))
    np.testing.assert_array_equal(found.array, labels)
    np.testing.assert_allclose(found.affine[:, [0, 1, 3]], flat[:, [0, 1, 3]], atol=1e-6)
    standing = random_affine(np.random.default_rng(2))
    found = read_image(write_labels(Segmentation(labels, standing), tmp_path / f"standing{suffix}"))
    np.testing.assert_array_equal(found.array, labels[np.newaxis])
    np.testing.assert_allclose(found.affine, standing, atol=1e-4)


def test_nifti_keeps_the_images_codes_shape_and_place(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    affine = random_affine(random)
    for sform, qform in [(2, 1), (4, 0), (0, 1), (0, 0)]:
        image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine)
        image.set_sform(affine, sform)
        image.set_qform(affine, qform)
        image.to_filename(tmp_path / "scan.nii")
        volume = read_image(tmp_path / "scan.nii")
        labels = blobs(random, volume.shape)
        stored = nib.load(write_labels(Segmentation(labels, volume.affine, source=volume.source), tmp_path / "labels.nii.gz"))
        assert (int(stored.header["sform_code"]), int(stored.header["qform_code"])) == (sform, qform)
        np.testing.assert_allclose(stored.affine, volume.affine, atol=1e-4)
        assert stored.shape == (4, 5, 6)
        assert stored.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (1, 1, 4, 5, 7)])
def test_labels_of_a_nifti_have_its_grid(tmp_path: Path, shape: tuple[int, ...]) -> None:
    affine = random_affine(np.random.default_rng(4))
    volume = read_image(write_nii(tmp_path / "scan.nii", np.zeros(shape, np.int16), affine))
    labels = blobs(np.random.default_rng(5), volume.shape)
    stored = nib.load(write_labels(Segmentation(labels, volume.affine, source=volume.source), tmp_path / "labels.nii"))
    assert stored.shape == shape[-len(volume.shape) :][::-1]
    np.testing.assert_allclose(stored.affine, nib.load(tmp_path / "scan.nii").affine, atol=1e-5)


def test_labels_of_an_image_in_micrometres_overlie_it_whether_or_not_a_reader_minds_the_unit(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 3, 2), np.uint8), np.diag([500, 500, 2000, 1]))
    image.header.set_xyzt_units("micron")
    image.to_filename(tmp_path / "micro.nii")
    volume = read_image(tmp_path / "micro.nii")
    path = write_labels(
        Segmentation(blobs(np.random.default_rng(6), volume.shape), volume.affine, source=volume.source), tmp_path / "labels.nii"
    )
    np.testing.assert_array_equal(nib.load(path).affine, image.affine)
    assert sitk.ReadImage(str(path)).GetSpacing() == pytest.approx(sitk.ReadImage(str(tmp_path / "micro.nii")).GetSpacing())
    assert read_image(path).spacing == pytest.approx((2.0, 0.5, 0.5))


def test_a_sheared_affine_is_kept_by_nifti_with_the_nearest_rotation_beside_it_and_refused_elsewhere(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2, 3, 1])
    affine[0, 2] = 0.4
    segmentation = Segmentation(blobs(np.random.default_rng(7)), affine)
    stored = nib.load(write_labels(segmentation, tmp_path / "labels.nii.gz"))
    np.testing.assert_allclose(stored.affine, affine, atol=1e-6)
    assert (int(stored.header["sform_code"]), int(stored.header["qform_code"])) == (1, 1)
    for suffix in (".nrrd", ".mha"):
        with pytest.raises(OutputError, match=r"sheared .* write \.nii\.gz"):
            write_labels(segmentation, tmp_path / f"labels{suffix}")
    assert [file.name for file in tmp_path.iterdir()] == ["labels.nii.gz"]


def test_nothing_but_labels_and_geometry_goes_into_the_file(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4))
    image.header["descrip"], image.header["aux_file"], image.header["db_name"] = b"Secret Patient", b"secret.txt", b"secret"
    image.to_filename(tmp_path / "secret.nii")
    volume = read_image(tmp_path / "secret.nii")
    segmentation = Segmentation(blobs(np.random.default_rng(8), volume.shape), volume.affine, source=volume.source)
    for suffix in MEDICAL:
        data = write_labels(segmentation, tmp_path / f"labels{suffix}").read_bytes()
        data = gzip.decompress(data) if suffix == ".nii.gz" else data
        assert b"ecret" not in data
        assert b"partial" not in data


def test_the_same_labels_make_the_same_file(tmp_path: Path) -> None:
    segmentation = Segmentation(blobs(np.random.default_rng(9)), np.eye(4))
    for suffix in (*MEDICAL, ".tif"):
        hashes = {hashlib.sha256(write_labels(segmentation, tmp_path / f"{name}{suffix}").read_bytes()).digest() for name in ("a", "b")}
        assert len(hashes) == 1, suffix


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_get_grey_labels(tmp_path: Path, suffix: str, dtype: type) -> None:
    labels = blobs(np.random.default_rng(10), (6, 9), top=3 if dtype is np.uint8 else 300, dtype=dtype)
    path = write_labels(Segmentation(labels, np.eye(4), has_spacing=False), tmp_path / f"labels{suffix}")
    with Image.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), labels)
    np.testing.assert_array_equal(read_labels(path).labels, labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_stack_keeps_its_voxel_size(tmp_path: Path, dtype: type) -> None:
    labels = blobs(np.random.default_rng(11), (3, 6, 9), dtype=dtype)
    sized = read_image(write_labels(Segmentation(labels, np.diag([0.5, 0.7, 2.5, 1])), tmp_path / "sized.tif"))
    np.testing.assert_array_equal(sized.array, labels)
    assert sized.spacing == pytest.approx((2.5, 0.7, 0.5), rel=1e-5)
    bare = read_image(write_labels(Segmentation(labels, np.eye(4), has_spacing=False), tmp_path / "bare.tif"))
    assert (bare.shape, bare.has_spacing) == ((3, 6, 9), False)


def test_a_picture_format_cannot_hold_a_placed_volume(tmp_path: Path) -> None:
    segmentation = Segmentation(blobs(np.random.default_rng(12)), random_affine(np.random.default_rng(12)))
    for suffix in (".png", ".tif"):
        with pytest.raises(OutputError, match=r"write \.nii\.gz, \.nrrd or \.mha"):
            write_labels(segmentation, tmp_path / f"labels{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["labels", "labels.jpg", "labels.mhd", "labels.nhdr", "labels.dcm", "labels.seg.nrrd", "labels.gz"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="change the suffix"):
        write_labels(Segmentation(blobs(np.random.default_rng(13)), np.eye(4)), tmp_path / name)


def test_labels_of_other_types_are_narrowed_or_refused(tmp_path: Path) -> None:
    for labels, expected in [
        (blobs(np.random.default_rng(14), dtype=np.int64), np.uint8),
        (blobs(np.random.default_rng(14), (9, 9, 9), top=400, dtype=np.int32), np.uint16),
        (blobs(np.random.default_rng(14), top=1).astype(bool), np.uint8),
    ]:
        found = read_image(write_labels(Segmentation(labels, np.eye(4)), tmp_path / "labels.nrrd"))
        assert found.array.dtype == expected
        np.testing.assert_array_equal(found.array, labels)
    for wrong in (
        np.full((2, 2, 2), -1),
        np.full((2, 2, 2), 70000),
        np.ones((2, 2, 2)),
        np.ones((2, 2, 2, 3), np.uint8),
        np.ones((0, 2), np.uint8),
    ):
        with pytest.raises(OutputError, match="expected .*labels"):
            write_labels(Segmentation(wrong, np.eye(4)), tmp_path / "wrong.nrrd")
    assert not (tmp_path / "wrong.nrrd").exists()


def test_an_image_is_not_replaced_by_its_labels(tmp_path: Path) -> None:
    path = write_nii(tmp_path / "scan.nii", np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    volume = read_image(path)
    before = path.read_bytes()
    (tmp_path / "link.nii").hardlink_to(path)
    for name in ("scan.nii", "sub/../scan.nii", "link.nii"):
        with pytest.raises(OutputError, match="labels would replace the image"):
            write_labels(Segmentation(volume.array, volume.affine, source=volume.source), tmp_path / name)
    assert path.read_bytes() == before


def test_labels_that_were_read_can_be_saved_under_their_own_name(tmp_path: Path) -> None:
    path = write_labels(Segmentation(blobs(np.random.default_rng(15)), np.eye(4)), tmp_path / "labels.nii.gz")
    labels = read_labels(path)
    assert labels.source.path is None
    write_labels(labels, path)


def test_a_folder_is_made_and_others_may_read_the_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        path = write_labels(Segmentation(blobs(np.random.default_rng(16)), np.eye(4)), str(tmp_path / "new" / "labels.nii"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("suffix", [*MEDICAL, ".tif"])
def test_an_unwritable_place_is_an_output_error(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("no folder")
    for path in (tmp_path / "file" / f"labels{suffix}", Path("/proc") / "nowhere" / f"labels{suffix}"):
        with pytest.raises(OutputError, match="expected to write .*; "):
            write_labels(Segmentation(blobs(np.random.default_rng(17)), np.eye(4), has_spacing=False), path)
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(OutputError, match="add a file name"):
        write_labels(Segmentation(blobs(np.random.default_rng(17)), np.eye(4)), folder)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from ultralightunet import OutputError, Segmentation
labels = np.random.default_rng(0).integers(0, 200, (32, 64, 64)).astype(np.uint8)
labels = labels[0] if sys.argv[1].endswith(".png") else labels
from ultralightunet.io import write_labels
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write_labels(Segmentation(labels, np.eye(4), has_spacing=False), Path(sys.argv[1]))
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("suffix", [*MEDICAL, ".tif", ".png"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, root: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    path.write_bytes(b"an older file")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(root)})
    assert done.stdout.startswith("expected to ")
    assert "free space" in done.stdout
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == b"an older file"
    assert list(tmp_path.iterdir()) == [path]


def test_what_does_not_read_back_the_same_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.nii"
    path.write_bytes(b"an older file")
    real = writing._write

    def other_labels(segmentation: Segmentation, labels: np.ndarray, target: Path, suffix: str) -> None:
        real(segmentation, labels[::-1], target, suffix)

    def other_place(segmentation: Segmentation, labels: np.ndarray, target: Path, suffix: str) -> None:
        real(Segmentation(labels, np.diag([1, 1, 1.001, 1])), labels, target, suffix)

    def half(segmentation: Segmentation, labels: np.ndarray, target: Path, suffix: str) -> None:
        real(segmentation, labels, target, suffix)
        target.write_bytes(target.read_bytes()[:-50])

    def interrupted(segmentation: Segmentation, labels: np.ndarray, target: Path, suffix: str) -> None:
        real(segmentation, labels, target, suffix)
        raise KeyboardInterrupt

    for damage, error in ((other_labels, OutputError), (other_place, OutputError), (half, OutputError), (interrupted, KeyboardInterrupt)):
        monkeypatch.setattr(writing, "_write", damage)
        with pytest.raises(error):
            write_labels(Segmentation(blobs(np.random.default_rng(18)), np.eye(4)), path)
        assert path.read_bytes() == b"an older file"
        assert list(tmp_path.iterdir()) == [path]


def test_each_source_has_its_own_suffix(tmp_path: Path) -> None:
    for kind, suffix in {
        "nifti": ".nii.gz",
        "nrrd": ".nrrd",
        "metaimage": ".mha",
        "dicom": ".nii.gz",
        "image": ".png",
        "array": ".nii.gz",
    }.items():
        assert output_suffix(Source(format=kind)) == suffix
    assert output_suffix(Source(format="image", header={"pages": 5})) == ".tif"
    dicom_series(tmp_path / "series", np.zeros((3, 4, 5), np.int16))
    assert output_suffix(read_image(tmp_path / "series").source) == ".nii.gz"


def test_reading_labels_accepts_whole_numbers_only(tmp_path: Path) -> None:
    labels = blobs(np.random.default_rng(19))
    affine = random_affine(np.random.default_rng(19))
    found = read_labels(write_nii(tmp_path / "whole.nii.gz", labels.astype(np.float32), affine))
    assert found.labels.dtype == np.uint8
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.affine, affine, atol=1e-5)
    assert read_labels(write_nii(tmp_path / "many.nii", labels.astype(np.int32) * 1000)).labels.dtype == np.uint16
    for name, array in {
        "fraction": labels + 0.5,
        "negative": labels.astype(np.int16) - 1,
        "nan": labels * np.nan,
        "large": labels * 1e6,
    }.items():
        with pytest.raises(InputError, match=f"{name}.nii"):
            read_labels(write_nii(tmp_path / f"{name}.nii", np.asarray(array)))


def test_masks_of_0_and_255_become_0_and_1(tmp_path: Path) -> None:
    mask = np.random.default_rng(20).integers(0, 2, (6, 9)).astype(np.uint8)
    Image.fromarray(mask * 255).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([mask * 255] * 3, -1)).save(tmp_path / "rgb.png")
    for name in ("grey.png", "rgb.png"):
        np.testing.assert_array_equal(read_labels(tmp_path / name).labels, mask)
    Image.fromarray(np.stack([mask * 255, mask, mask], -1)).save(tmp_path / "colour.png")
    with pytest.raises(InputError, match="one label a voxel, found 3 channels"):
        read_labels(tmp_path / "colour.png")
    Image.fromarray(mask * 255).save(tmp_path / "grey.jpg")
    with pytest.raises(InputError, match="save them as PNG"):
        read_labels(tmp_path / "grey.jpg")
