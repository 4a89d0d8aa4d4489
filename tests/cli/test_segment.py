"""`ultralight segment`: images in, labels out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import scipy.ndimage
import SimpleITK as sitk
from PIL import Image

import ultralightunet as ulu
from tests.cli.scans import SHAPE, noise
from tests.command import Command, sentence
from tests.io_files import dicom_series, write_nii
from tests.small_models import small_model
from ultralightunet.io import read_image, read_labels
from ultralightunet.models import Model


def test_one_image_gives_the_file_that_was_asked_for(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    done = ultralight("segment", scan, "-o", tmp_path / "new" / "labels.nii.gz", "--model", model.folder)
    assert (done.code, done.err) == (0, "")
    expected = ulu.segment(scan, model)
    assert len(np.unique(expected.labels)) > 1
    found = nib.load(tmp_path / "new" / "labels.nii.gz")
    assert found.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(found.dataobj).T, expected.labels)
    np.testing.assert_allclose(found.affine, nib.load(scan).affine, atol=1e-4)
    lines = done.out.splitlines()
    assert lines[0] == f"{scan} -> {tmp_path / 'new' / 'labels.nii.gz'}"
    volumes = expected.volumes_ml()
    assert lines[1:] == [f"    {n} part {n}: {volumes[n]:.1f} ml" for n in (1, 2)]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["labels.nii.gz"]


def test_several_images_give_a_folder_with_the_same_base_names(
    tmp_path: Path, ultralight: Command, scan: Path, model: Model, slice_model: Model
) -> None:
    """Each in its own format."""
    sitk.WriteImage(sitk.GetImageFromArray(noise(seed=1)), str(tmp_path / "second.scan.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(noise(seed=2)), str(tmp_path / "third.mha"))
    dicom_series(tmp_path / "series", noise(seed=3).astype(np.int16), Modality="MR")
    images = [scan, tmp_path / "second.scan.nrrd", tmp_path / "third.mha", tmp_path / "series"]
    done = ultralight("segment", *images, "-o", tmp_path / "out", "--model", model.folder, "--json")
    assert (done.code, done.err) == (0, "")
    names = ["scan.nii.gz", "second.scan.nrrd", "third.mha", "series.nii.gz"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    results = [event for event in done.events if event["event"] == "result"]
    assert [Path(r["labels"]).name for r in results] == names
    for image, name in zip(images, names, strict=True):
        volume, labels = read_image(image), read_image(tmp_path / "out" / name)
        np.testing.assert_array_equal(labels.array, ulu.segment(volume, model).labels)
        np.testing.assert_allclose(labels.affine, volume.affine, atol=1e-4)


def test_one_image_into_an_existing_folder_keeps_its_base_name(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    (tmp_path / "out").mkdir()
    assert ultralight("segment", scan, "-o", tmp_path / "out", "--model", model.folder).code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scan.nii.gz"]


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_labels_of_itk_formats_lie_where_the_image_lies(tmp_path: Path, ultralight: Command, model: Model, suffix: str) -> None:
    image = sitk.GetImageFromArray(noise())
    image.SetOrigin((-10.5, 20.25, 300.0))
    image.SetSpacing((0.75, 0.5, 3.0))
    image.SetDirection((0.0, -1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0))
    sitk.WriteImage(image, str(tmp_path / f"scan{suffix}"))
    done = ultralight("segment", tmp_path / f"scan{suffix}", "-o", tmp_path / f"labels{suffix}", "--model", model.folder)
    assert done.code == 0
    labels = sitk.ReadImage(str(tmp_path / f"labels{suffix}"))
    assert labels.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_allclose(labels.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(labels.GetSpacing(), image.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(labels.GetDirection(), image.GetDirection(), atol=1e-6)


def test_one_of_two_dicom_series_is_chosen_by_its_uid(tmp_path: Path, ultralight: Command, model: Model) -> None:
    first, second = (noise(seed=n).astype(np.int16) for n in (1, 2))
    dicom_series(tmp_path / "study", first, SeriesInstanceUID="1.2.3.5", names=[f"a{n}" for n in range(len(first))])
    dicom_series(tmp_path / "study", second, SeriesInstanceUID="1.2.3.6", names=[f"b{n}" for n in range(len(second))])
    said = sentence(ultralight("segment", tmp_path / "study", "-o", tmp_path / "labels.nii.gz", "--model", model.folder))
    assert "expected one DICOM series, found 2" in said
    assert "1.2.3.5" in said
    assert "1.2.3.6" in said
    assert "--series" in said
    done = ultralight("segment", tmp_path / "study", "-o", tmp_path / "labels.nii.gz", "--model", model.folder, "--series", "1.2.3.6")
    assert done.code == 0
    chosen = read_image(tmp_path / "study", series="1.2.3.6")
    np.testing.assert_array_equal(read_image(tmp_path / "labels.nii.gz").array, ulu.segment(chosen, model).labels)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_colour_picture_gives_a_grey_png_of_labels(tmp_path: Path, ultralight: Command, picture_model: Model, suffix: str) -> None:
    picture = np.stack([scipy.ndimage.gaussian_filter(noise((70, 90), seed), 3) for seed in range(3)], -1)
    Image.fromarray((128 + 10 * (picture - 100)).clip(0, 255).astype(np.uint8)).save(tmp_path / f"frame{suffix}")
    (tmp_path / "out").mkdir()
    done = ultralight("segment", tmp_path / f"frame{suffix}", "-o", tmp_path / "out", "--model", picture_model.folder)
    assert (done.code, done.err) == (0, "")
    labels = np.asarray(Image.open(tmp_path / "out" / "frame.png"))
    assert (labels.dtype, labels.shape) == (np.uint8, (70, 90))
    np.testing.assert_array_equal(labels, ulu.segment(tmp_path / f"frame{suffix}", picture_model).labels)
    assert len(np.unique(labels)) > 1
    assert "voxels" in done.out
    assert " ml" not in done.out, "a picture does not say how large it is"


def test_the_labels_format_may_be_another_one(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    write_nii(tmp_path / "straight.nii", noise(), np.diag((0.5, 0.6, 2.0, 1.0)))
    assert ultralight("segment", tmp_path / "straight.nii", "-o", tmp_path / "labels.nrrd", "--model", model.folder).code == 0
    labels = read_labels(tmp_path / "labels.nrrd")
    np.testing.assert_allclose(labels.affine, np.diag((0.5, 0.6, 2.0, 1.0)), atol=1e-6)


@pytest.mark.parametrize(("letter", "digit", "axis"), [("i", "0", 2), ("j", "1", 1), ("k", "2", 0)])
def test_a_2d_model_labels_one_slice_of_a_volume(
    tmp_path: Path, ultralight: Command, scan: Path, slice_model: Model, letter: str, digit: str, axis: int
) -> None:
    """Axes are counted as in the file, i first."""
    found = []
    for name in (letter, digit):
        target = tmp_path / f"{name}.nii.gz"
        assert ultralight("segment", scan, "-o", target, "--model", slice_model.folder, "--axis", name, "--slice", 7).code == 0
        found.append(read_image(target).array)
    assert found[0].shape == SHAPE
    assert len(np.unique(np.take(found[0], 7, axis))) > 1
    assert not np.delete(found[0], 7, axis).any()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], ulu.segment(scan, slice_model, axis=axis, slice=7).labels)


def test_a_box_is_given_as_the_file_counts(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    target = tmp_path / "labels.nii.gz"
    assert ultralight("segment", scan, "-o", target, "--model", model.folder, "--box", "2:30,1:20,3:9").code == 0
    labels = np.asarray(nib.load(target).dataobj)
    assert labels[2:30, 1:20, 3:9].any()
    labels[2:30, 1:20, 3:9] = 0
    assert not labels.any()


def test_one_volume_of_a_series_is_labelled(tmp_path: Path, ultralight: Command, model: Model) -> None:
    series = write_nii(tmp_path / "series.nii.gz", np.stack([noise(seed=n) for n in range(3)]))
    target = tmp_path / "labels.nii.gz"
    said = sentence(ultralight("segment", series, "-o", target, "--model", model.folder))
    assert "found a series of 3" in said
    assert "--volume-index" in said
    assert "0 to 2" in sentence(ultralight("segment", series, "-o", target, "--model", model.folder, "--volume-index", 3))
    assert not target.exists()
    assert ultralight("segment", series, "-o", target, "--model", model.folder, "--volume-index", 1).code == 0
    alone = write_nii(tmp_path / "alone.nii.gz", noise(seed=1))
    np.testing.assert_array_equal(read_image(target).array, ulu.segment(alone, model).labels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_voxels_are_filled_when_asked(tmp_path: Path, ultralight: Command, model: Model, value: float) -> None:
    array, target = noise(), tmp_path / "labels.nii.gz"
    array[:3] = value
    scan = write_nii(tmp_path / "scan.nii.gz", array)
    said = sentence(ultralight("segment", scan, "-o", target, "--model", model.folder))
    assert f"found {3 * 26 * 30} of {array.size} NaN or infinite" in said
    assert "--nan-fill" in said
    assert not target.exists()
    assert ultralight("segment", scan, "-o", target, "--model", model.folder, "--nan-fill", "0").code == 0
    array[:3] = 0
    np.testing.assert_array_equal(read_image(target).array, ulu.segment(write_nii(tmp_path / "zero.nii.gz", array), model).labels)


def test_json_lines_tell_the_progress_and_end_with_the_result(tmp_path: Path, ultralight: Command, model: Model) -> None:
    scan, target = write_nii(tmp_path / "scan.nii.gz", noise((20, 40, 70))), tmp_path / "labels.nii.gz"
    done = ultralight("segment", scan, "-o", target, "--model", model.folder, "--json", "--threads", 1, "--step", 1)
    assert (done.code, done.err) == (0, "")
    *progress, result = done.events
    assert {event["event"] for event in progress} == {"progress"}
    windows = [event for event in progress if event["stage"] == "Segmenting"]
    assert [event["done"] for event in windows] == [0, 1, 2, 3, 4, 5, 6]
    assert {event["total"] for event in windows} == {6}
    assert (result["event"], result["image"], result["labels"]) == ("result", str(scan), str(target))
    assert (result["model"], result["model_sha256"], result["engine"], result["device"]) == (model.id, model.sha256, "openvino", "cpu")
    assert (result["windows"], result["step"], result["box"]) == (6, 1.0, None)
    labels = read_image(target).array
    expected = [{"label": n, "name": f"part {n}", "voxels": int((labels == n).sum())} for n in (1, 2)]
    assert [{key: c[key] for key in ("label", "name", "voxels")} for c in result["classes"]] == expected
    assert all(c["voxels"] for c in expected)
    assert [c["ml"] for c in result["classes"]] == pytest.approx([c["voxels"] / 1000 for c in expected])
    assert {"reading", "writing", "network", "labels"} <= result["seconds"].keys()


def test_profile_says_where_the_time_went(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    done = ultralight("segment", scan, "-o", tmp_path / "labels.nii.gz", "--model", model.folder, "--profile")
    stages = [line.split(" s  ") for line in done.out.splitlines() if " s  " in line]
    assert [stage for _, stage in stages] == ["reading", "checking", "preparing", "network", "labels", "writing"]
    assert all(float(seconds) >= 0 for seconds, _ in stages)


def test_both_engines_can_be_asked_for(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    labels = []
    for engine in ("openvino", "torch"):
        target = tmp_path / f"{engine}.nii.gz"
        assert ultralight("segment", scan, "-o", target, "--model", model.folder, "--engine", engine, "--device", "cpu").code == 0
        labels.append(read_image(target).array)
    assert (labels[0] != labels[1]).mean() < 1e-3


def test_a_repeat_replaces_the_labels_with_the_same_bytes(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    written = []
    for _ in range(2):
        assert ultralight("segment", scan, "-o", tmp_path / "labels.nii.gz", "--model", model.folder).code == 0
        written.append((tmp_path / "labels.nii.gz").read_bytes())
    assert written[0] == written[1]


def test_an_assumed_voxel_size_is_said(tmp_path: Path, ultralight: Command) -> None:
    measuring = small_model(tmp_path / "m", spatial_dims=2, window=(64, 64), spacing=(1.0, 1.0))
    Image.fromarray(noise((50, 60)).clip(0, 255).astype(np.uint8)).save(tmp_path / "picture.png")
    done = ultralight("segment", tmp_path / "picture.png", "-o", tmp_path / "labels.png", "--model", measuring.folder)
    assert done.code == 0
    assert "does not say how large its voxels are; 1 mm was assumed" in done.err


def test_a_wrong_kind_of_image_is_doubted_on_stderr(ultralight: Command, model: Model, tmp_path: Path) -> None:
    values = np.full(SHAPE, -1000, np.int16)
    values[6:16, 8:20, 8:24] = 300
    path = write_nii(tmp_path / "ct.nii.gz", values)
    found = ultralight("segment", path, "-o", tmp_path / "labels.nii.gz", "--model", model.folder)
    assert found.code == 0
    assert f"{path}: expected MR images for volume, found CT" in found.err
