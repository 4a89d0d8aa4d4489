"""FreeSurfer's volumes and Analyze pairs come in as nibabel reads them, and their labels go out as NIfTI."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage

from ultralightunet import InputError, Segmentation
from ultralightunet.io import output_paths, read_image, read_labels, read_series, write_labels

from ..io_files import blobs, random_affine


@pytest.mark.parametrize("suffix", [".mgz", ".mgh"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_a_freesurfer_volume_is_nibabels(tmp_path: Path, suffix: str, dtype: type) -> None:
    random = np.random.default_rng(1)
    array = random.integers(0, 100, (4, 5, 6)).astype(dtype)
    path = tmp_path / f"scan{suffix}"
    nib.save(MGHImage(array.T, random_affine(random)), path)
    volume = read_image(path)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.affine, nib.load(path).affine)
    assert (volume.source.format, volume.has_spacing, volume.notes) == ("freesurfer", True, ())
    labels = blobs(random, volume.shape)
    targets = output_paths([path], tmp_path / "out")
    assert targets[path].name == "scan.nii.gz"
    written = nib.load(write_labels(Segmentation(labels, volume.affine, source=volume.source), targets[path]))
    np.testing.assert_array_equal(np.asarray(written.dataobj).T, labels)
    np.testing.assert_allclose(written.affine, volume.affine, atol=1e-4)


def test_frames_of_freesurfer_are_a_series(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 100, (7, 4, 5, 6)).astype(np.float32)
    nib.save(MGHImage(array.T, np.eye(4)), tmp_path / "time.mgz")
    with pytest.raises(InputError, match="series of 7"):
        read_image(tmp_path / "time.mgz")
    np.testing.assert_array_equal(read_image(tmp_path / "time.mgz", volume_index=6).array, array[6])
    first, volumes = read_series(tmp_path / "time.mgz")
    np.testing.assert_array_equal(volumes, array)
    np.testing.assert_array_equal(first.array, array[0])


def test_a_freesurfer_volume_that_does_not_say_how_the_head_lies_is_told_of(tmp_path: Path) -> None:
    nib.save(MGHImage(np.zeros((4, 5, 6), np.uint8), np.eye(4)), tmp_path / "scan.mgh")
    data = bytearray((tmp_path / "scan.mgh").read_bytes())
    data[28:30] = b"\0\0"
    # FreeSurfer 7 notes what the voxels are for beside the version.
    data[2] = 3
    (tmp_path / "scan.mgh").write_bytes(data)
    assert "how the head lies" in read_image(tmp_path / "scan.mgh").notes[0]
    data[28:30] = b"\xff\xff"
    (tmp_path / "scan.mgh").write_bytes(data)
    assert "its flag is -1" in read_image(tmp_path / "scan.mgh").notes[0]
    data[2], data[28:30] = 0, b"\0\0"
    (tmp_path / "scan.mgh").write_bytes(data)
    np.testing.assert_array_equal(read_image(tmp_path / "scan.mgh").affine, nib.load(tmp_path / "scan.mgh").affine)


@pytest.mark.parametrize("kind", [nib.Spm2AnalyzeImage, nib.Spm99AnalyzeImage, nib.AnalyzeImage])
@pytest.mark.parametrize("with_matrix", [True, False])
def test_an_analyze_pair_is_nibabels_from_either_file(tmp_path: Path, kind: type, with_matrix: bool) -> None:
    random = np.random.default_rng(3)
    array = random.integers(0, 100, (4, 5, 6)).astype(np.int16)
    nib.save(kind(array.T, random_affine(random)), tmp_path / "scan.img")
    matrix = tmp_path / "scan.mat"
    if not with_matrix:
        matrix.unlink(missing_ok=True)
    for name in ("scan.img", "scan.hdr"):
        volume = read_image(tmp_path / name)
        np.testing.assert_array_equal(volume.array, array)
        np.testing.assert_allclose(volume.affine, nib.load(tmp_path / name).affine)
        assert volume.source.format == "analyze"
        assert bool(volume.notes) == (not matrix.exists())
    assert output_paths([tmp_path / "scan.hdr"], tmp_path / "out")[tmp_path / "scan.hdr"].name == "scan.nii.gz"


def test_an_older_matrix_of_spm_is_read_as_nibabel_does(tmp_path: Path) -> None:
    from scipy.io import savemat

    nib.save(nib.Spm99AnalyzeImage(np.zeros((6, 5, 4), np.int16), np.eye(4)), tmp_path / "scan.img")
    savemat(tmp_path / "scan.mat", {"M": random_affine(np.random.default_rng(4))}, format="4")
    np.testing.assert_allclose(read_image(tmp_path / "scan.img").affine, nib.load(tmp_path / "scan.img").affine)
    savemat(tmp_path / "scan.mat", {"N": np.eye(4)}, format="4")
    with pytest.raises(InputError, match="expected the matrix 'mat' or 'M'"):
        read_image(tmp_path / "scan.img")


@pytest.mark.parametrize("packed", [False, True])
def test_a_nifti_pair_is_read_from_either_file(tmp_path: Path, packed: bool) -> None:
    array = np.random.default_rng(5).integers(0, 100, (4, 5, 6)).astype(np.int16)
    affine = random_affine(np.random.default_rng(5))
    nib.save(nib.Nifti1Pair(array.T, affine), tmp_path / "scan.img")
    if packed:
        for name in ("scan.hdr", "scan.img"):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
            (tmp_path / name).unlink()
    for path in sorted(tmp_path.iterdir()):
        volume = read_image(path)
        np.testing.assert_array_equal(volume.array, array)
        np.testing.assert_allclose(volume.affine, affine, atol=1e-4)
        assert volume.source.format == "nifti"
    np.testing.assert_array_equal(read_labels(path).labels, array)


def test_half_a_pair_names_the_other_half(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(np.zeros((6, 5, 4), np.int16), np.eye(4)), tmp_path / "scan.img")
    (tmp_path / "scan.img").rename(tmp_path / "away")
    with pytest.raises(InputError, match=r"expected scan\.img beside .*scan\.hdr, found none.*copy it there"):
        read_image(tmp_path / "scan.hdr")
    (tmp_path / "away").rename(tmp_path / "scan.img")
    (tmp_path / "scan.hdr").unlink()
    with pytest.raises(InputError, match=r"expected scan\.hdr beside .*scan\.img"):
        read_image(tmp_path / "scan.img")


@pytest.mark.parametrize("name", ["scan.mgz", "scan.mgh", "scan.hdr"])
@pytest.mark.parametrize("damage", ["cut", "text", "short", "no voxels", "type"])
def test_damage_is_told_in_one_sentence(tmp_path: Path, name: str, damage: str, capfd: pytest.CaptureFixture[str]) -> None:
    array = np.random.default_rng(6).integers(0, 100, (40, 50, 60)).astype(np.int16)
    path = tmp_path / name
    nib.save(MGHImage(array, np.eye(4)) if "mg" in name else nib.AnalyzeImage(array, np.eye(4)), path)
    voxels = tmp_path / "scan.img" if name == "scan.hdr" else path
    header = bytearray(gzip.decompress(path.read_bytes()) if name.endswith("z") else path.read_bytes())
    if damage == "cut":
        voxels.write_bytes(voxels.read_bytes()[:-999])
    elif damage == "short":
        path.write_bytes(bytes(header[:40]))
    elif damage == "text":
        path.write_bytes(b"no image at all\n" * 30)
    elif damage == "no voxels":
        header[4:8] = header[42:44] = b"\0\0" + (b"\0\0" if "mg" in name else b"")
        header[4:8] = b"\0\0\0\0"
        path.write_bytes(header)
    else:
        header[23 if "mg" in name else 70] = 77
        path.write_bytes(header)
    capfd.readouterr()
    with pytest.raises(InputError, match="expected .*scan") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
