"""The command `ultralight`: what it writes, what it says, and what it leaves behind when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import scipy.ndimage
import SimpleITK as sitk
import torch
from PIL import Image

import ultralightunet as ulu
from tests.io_files import dicom, dicom_series, random_affine, write_nii
from tests.models.test_checkpoints import Opener, their_name
from tests.models.test_models import full_disk
from tests.small_models import random_weights, small_model
from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.cli import main
from ultralightunet.cli.progress import ProgressBar
from ultralightunet.events import Progress
from ultralightunet.io import read_image, read_labels
from ultralightunet.models import METADATA, WEIGHTS, Intensity, Model

SHAPE = (20, 26, 30)


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Outcome]


@pytest.fixture
def ultralight(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process."""

    def run(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


# The seeds of these three are such that their random weights make several classes of noise, not one.


@pytest.fixture(scope="module")
def model(models: Path) -> Model:
    """In 3D, for grey volumes."""
    return small_model(models / "volume", name="volume", seed=3)


@pytest.fixture(scope="module")
def picture_model(models: Path) -> Model:
    """In 2D, for colour pictures."""
    scale = Intensity("scale", 0, 255, (0.5,), (0.25,))
    return small_model(models / "picture", name="picture", spatial_dims=2, in_channels=3, intensity=scale, window=(64, 64), seed=7)


@pytest.fixture(scope="module")
def slice_model(models: Path) -> Model:
    """In 2D, for grey slices."""
    return small_model(models / "slice", name="slice", spatial_dims=2, window=(64, 64), seed=8)


def noise(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A volume that lies obliquely, and is as good as any to a network of random weights."""
    return write_nii(tmp_path / "scan.nii.gz", noise(), random_affine(np.random.default_rng(0)))


def sentence(outcome: Outcome) -> str:
    """The one line that was said about what is wrong."""
    assert outcome.code == 1, outcome
    assert outcome.err.startswith("ultralight: "), outcome
    assert outcome.err.count("\n") == 1, outcome
    assert outcome.out == "", outcome
    return outcome.err


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


# ---- segment: images in, labels out


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
    dicom_series(tmp_path / "series", noise(seed=3).astype(np.int16))
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


# ---- segment: what is refused before any work


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "labels.txt"], "expected an output file ending in"),
        (["-o", "labels"], "expected an output file ending in"),
        (["-o", "labels.jpg"], "expected an output file ending in"),
        (["-o", "scan.nii.gz"], "labels would replace the image"),
        (["-o", "./folder/../scan.nii.gz"], "labels would replace the image"),
        (["-o", "labels.png"], "expected a format that holds the volume's labels"),
        (["-o", "other.txt/labels.nii.gz"], "expected a folder that can be written"),
        (["-o", "labels.nii.gz", "--model", "nothing"], "expected a model folder or an installed model"),
        (["-o", "labels.nii.gz", "--model", "folder"], "expected a model folder with configs/metadata.json"),
        (["-o", "labels.nii.gz", "--threads", "0"], "expected at least one thread, found 0"),
        (["-o", "labels.nii.gz", "--step", "0"], "expected a step above 0"),
        (["-o", "labels.nii.gz", "--step", "nan"], "expected a step above 0"),
        (["-o", "labels.nii.gz", "--engine", "openvino", "--device", "cuda"], "expected the device cpu for the engine openvino"),
        (["-o", "labels.nii.gz", "--box", "0:5,0:5"], "expected 3 ranges in --box"),
        (["-o", "labels.nii.gz", "--box", "0:31,0:26,0:20"], "inside the image, 0:30,0:26,0:20, found 0:31,0:26,0:20"),
        (["-o", "labels.nii.gz", "--box", "5:5,0:26,0:20"], "inside the image, 0:30,0:26,0:20, found 5:5,0:26,0:20"),
        (["-o", "labels.nii.gz", "--slice", "3"], "expected --axis and --slice for a 2D model on a volume"),
        (["-o", "labels.nii.gz", "--axis", "k"], "expected --axis and --slice for a 2D model on a volume"),
        (["-o", "labels.nii.gz", "--volume-index", "1"], "volume index"),
        (["-o", "labels.nii.gz", "--series", "1.2"], "leave out --series"),
        (["-o", "out", "other.txt"], "found other.txt"),
        (["-o", "labels.nii.gz", "second.nii.gz"], "expected a folder for the labels of 2 images"),
        (["-o", "other.txt", "second.nii.gz"], "expected a folder for the labels of 2 images"),
        (["-o", "out", "folder/scan.nii.gz"], "expected inputs with different names, found scan.nii.gz and folder/scan.nii.gz"),
        (["-o", "out", "scan.nii.gz"], "expected inputs with different names"),
        (["-o", ".", "second.nii.gz"], "labels would replace"),
        (["-o", "out", "nothing.nii.gz"], "found nothing at nothing.nii.gz"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_what_cannot_work_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ultralight: Command, scan: Path, model: Model, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for copy in ("second.nii.gz", "folder/scan.nii.gz"):
        (tmp_path / copy).write_bytes(scan.read_bytes())
    (tmp_path / "other.txt").write_text("mine")
    before = everything_in(tmp_path)
    chosen = [] if "--model" in options else ["--model", model.folder]
    target, images = options[:2], [option for option in options[2:] if option.endswith((".gz", ".txt"))]
    rest = [option for option in options[2:] if option not in images]
    assert said in sentence(ultralight("segment", "scan.nii.gz", *images, *target, *rest, *chosen))
    assert everything_in(tmp_path) == before


def test_a_slice_outside_the_volume_is_refused(tmp_path: Path, ultralight: Command, scan: Path, slice_model: Model) -> None:
    for number in ("20", "-1"):
        arguments = ("--model", slice_model.folder, "--axis", "k", f"--slice={number}")
        assert "expected a slice from 0 to 19" in sentence(ultralight("segment", scan, "-o", tmp_path / "labels.nii.gz", *arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["segment"],
        ["segment", "scan.nii.gz"],
        ["segment", "scan.nii.gz", "-o", "a.nii.gz", "--box", "1:2:3"],
        ["segment", "scan.nii.gz", "-o", "a.nii.gz", "--box", "0:9"],
        ["segment", "scan.nii.gz", "-o", "a.nii.gz", "--box", "a:b,c:d"],
        ["segment", "scan.nii.gz", "-o", "a.nii.gz", "--axis", "z"],
        ["segment", "scan.nii.gz", "-o", "a.nii.gz", "--slice", "first"],
        ["segment", "scan.nii.gz", "-o", "a.nii.gz", "--engine", "tensorflow"],
        ["segment", "scan.nii.gz", "-o", "a.nii.gz", "--nan-fill", "zero"],
        ["evaluate", "a.nii.gz"],
        ["evaluate", "a.nii.gz", "b.nii.gz", "--tolerance", "-1"],
        ["evaluate", "a.nii.gz", "b.nii.gz", "--tolerance", "nan"],
        ["import-checkpoint", "a.pth"],
        ["import-checkpoint", "a.pth", "-o", "m", "--size", "0x0"],
        ["import-checkpoint", "a.pth", "-o", "m", "--size", "big"],
    ],
    ids=" ".join,
)
def test_wrong_usage_has_its_own_exit_code(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ultralight")


# ---- segment: bad images


def cut(path: Path, share: float = 0.6) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def damaged_itk(folder: Path, name: str) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(noise()), str(folder / name))
    return cut(folder / name)


def damaged_picture(folder: Path, name: str) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3)).astype(np.uint8)).save(folder / name)
    return cut(folder / name)


def text_named(folder: Path, name: str) -> Path:
    (folder / name).write_text("This is not an image.\n" * 100)
    return folder / name


def empty(folder: Path, name: str) -> Path:
    (folder / name).touch()
    return folder / name


def with_affine(folder: Path, rows: np.ndarray) -> Path:
    """The header's own rows, which nibabel would put right."""
    content = bytearray(write_nii(folder / "scan.nii", noise()).read_bytes())
    content[252:256] = np.array([0, 1], "<i2").tobytes()
    content[280:328] = rows.astype("<f4").tobytes()
    (folder / "scan.nii").write_bytes(content)
    return folder / "scan.nii"


def dicom_without_one(folder: Path) -> Path:
    dicom_series(folder / "series", noise().astype(np.int16), skip=(5,))
    return folder / "series"


def damaged_dicom(folder: Path) -> Path:
    return cut(dicom(folder / "slice.dcm", noise((40, 50)).astype(np.int16)))


def folder_of(path: Path) -> Path:
    (path / "folder").mkdir()
    (path / "folder" / "readme.txt").write_text("nothing here")
    return path / "folder"


def partly(value: float) -> np.ndarray:
    array = noise()
    array[1, 2, 3] = value
    return array


SINGULAR = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]])

BAD_IMAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated .nii.gz": (lambda f: cut(write_nii(f / "scan.nii.gz", noise())), "damaged or other file"),
    "truncated .nii": (lambda f: cut(write_nii(f / "scan.nii", noise())), "copy it again"),
    "truncated .nrrd": (lambda f: damaged_itk(f, "scan.nrrd"), "copy it again"),
    "truncated .mha": (lambda f: damaged_itk(f, "scan.mha"), "copy it again"),
    "truncated .png": (lambda f: damaged_picture(f, "scan.png"), "damaged or other file"),
    "truncated .jpg": (lambda f: damaged_picture(f, "scan.jpg"), "damaged or other file"),
    "truncated .tif": (lambda f: damaged_picture(f, "scan.tif"), "scan.tif"),
    "truncated .dcm": (damaged_dicom, "slice.dcm"),
    "empty .nii.gz": (lambda f: empty(f, "scan.nii.gz"), "found an empty file"),
    "empty .png": (lambda f: empty(f, "scan.png"), "found an empty file"),
    "text .nii.gz": (lambda f: text_named(f, "scan.nii.gz"), "damaged or other file"),
    "text .nii": (lambda f: text_named(f, "scan.nii"), "damaged or other file"),
    "text .nrrd": (lambda f: text_named(f, "scan.nrrd"), "damaged or other file"),
    "text .mha": (lambda f: text_named(f, "scan.mha"), "damaged or other file"),
    "text .png": (lambda f: text_named(f, "scan.png"), "damaged or other file"),
    "text .dcm": (lambda f: text_named(f, "scan.dcm"), "expected a DICOM"),
    "text": (lambda f: text_named(f, "scan"), "convert it to NIfTI"),
    "folder without images": (folder_of, "expected a DICOM image, found none"),
    "series with a gap": (dicom_without_one, "series"),
    "no such file": (lambda f: f / "scan.nii.gz", "found nothing at"),
    "NaN": (lambda f: write_nii(f / "scan.nii.gz", partly(np.nan)), "found 1 of 15600 NaN or infinite; fill them with --nan-fill"),
    "infinity": (lambda f: write_nii(f / "scan.nii.gz", partly(np.inf)), "found 1 of 15600 NaN or infinite; fill them with --nan-fill"),
    "nothing but NaN": (lambda f: write_nii(f / "scan.nii.gz", np.full(SHAPE, np.nan, np.float32)), "--nan-fill"),
    "constant": (lambda f: write_nii(f / "scan.nii.gz", np.full(SHAPE, 7, np.int16)), "expected an image with contrast"),
    "zero affine": (lambda f: with_affine(f, np.zeros((3, 4))), "expected an affine with three independent axes"),
    "singular affine": (lambda f: with_affine(f, SINGULAR), "expected an affine with three independent axes"),
    "NaN affine": (lambda f: with_affine(f, np.full((3, 4), np.nan)), "affine"),
    "time series": (lambda f: write_nii(f / "scan.nii.gz", np.stack([noise(), noise()])), "choose one with --volume-index"),
    "picture for a 3D model": (lambda f: write_nii(f / "scan.nii.gz", noise((40, 50))), "expected a volume for the 3D model"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_a_bad_image_is_one_clear_sentence_and_keeps_what_was_there(tmp_path: Path, ultralight: Command, model: Model, kind: str) -> None:
    make, said = BAD_IMAGES[kind]
    image = make(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.nii.gz").write_bytes(b"labels of yesterday")
    found = sentence(ultralight("segment", image, "-o", tmp_path / "out" / "labels.nii.gz", "--model", model.folder))
    assert said in found
    assert "Traceback" not in found
    assert everything_in(tmp_path / "out") == {"labels.nii.gz": b"labels of yesterday"}


def test_a_wrong_number_of_channels_is_refused(tmp_path: Path, ultralight: Command, scan: Path) -> None:
    model = small_model(tmp_path / "two", in_channels=2)
    found = sentence(ultralight("segment", scan, "-o", tmp_path / "labels.nii.gz", "--model", model.folder))
    assert "expected an image with 2 channel(s) for small, found 1" in found


@pytest.mark.parametrize("fault", ["weights", "metadata", "newer", "missing weights"])
def test_a_model_at_fault_is_one_clear_sentence(tmp_path: Path, ultralight: Command, scan: Path, fault: str) -> None:
    folder = small_model(tmp_path / "model").folder
    if fault == "weights":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1] + b"\xff")
    elif fault == "missing weights":
        (folder / WEIGHTS).unlink()
    elif fault == "metadata":
        cut(folder / METADATA)
    else:
        (folder / METADATA).write_text((folder / METADATA).read_text().replace('"schema_version": 1', '"schema_version": 2'))
    found = sentence(ultralight("segment", scan, "-o", tmp_path / "labels.nii.gz", "--model", folder))
    wanted = {"weights": "sha256", "metadata": "expected JSON", "newer": "update UltraLight", "missing weights": "expected the weights"}
    assert wanted[fault] in found
    assert not (tmp_path / "labels.nii.gz").exists()


def test_of_several_images_those_before_a_bad_one_are_kept_whole(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    images = [scan, text_named(tmp_path, "bad.nii.gz"), write_nii(tmp_path / "third.nii.gz", noise(seed=3))]
    done = ultralight("segment", *images, "-o", tmp_path / "out", "--model", model.folder, "--json")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "bad.nii.gz" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scan.nii.gz"]
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "scan.nii.gz").array, ulu.segment(scan, model).labels)


@pytest.mark.parametrize("name", ["labels.nii", "labels.nii.gz", "labels.nrrd", "labels.mha", "labels.tif"])
@pytest.mark.parametrize("present", [True, False])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, ultralight: Command, model: Model, name: str, present: bool) -> None:
    scan = write_nii(tmp_path / "scan.nii.gz", noise())
    (tmp_path / "out").mkdir()
    if present:
        (tmp_path / "out" / name).write_bytes(b"labels of yesterday")
    with full_disk(100):
        done = ultralight("segment", scan, "-o", tmp_path / "out" / name, "--model", model.folder)
    assert "expected to" in sentence(done)
    assert everything_in(tmp_path / "out") == ({name: b"labels of yesterday"} if present else {})


# ---- as a process of its own


def process(*arguments: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ultralightunet", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, text=True, cwd=cwd, env=environment, **pipes)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_stops_within_a_window_and_leaves_nothing_half_written(tmp_path: Path, model: Model) -> None:
    write_nii(tmp_path / "scan.nii", noise((120, 120, 120)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.nii.gz").write_bytes(b"labels of yesterday")
    arguments = ("segment", "scan.nii", "-o", "out/labels.nii.gz", "--model", model.folder, "--step", "0.25", "--json")
    # What a shell starts in the background ignores Ctrl-C, and so do its children.
    job = process(*arguments, cwd=tmp_path, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert job.stdout is not None
    with job:
        event: dict[str, Any] = {}
        while event.get("done", 0) < 3:
            event = json.loads(job.stdout.readline())
        job.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = job.communicate(timeout=60)
        seconds = time.monotonic() - began
    assert (job.returncode, err) == (130, "ultralight: cancelled\n")
    assert event["total"] == 12**3
    later = [json.loads(line)["done"] for line in out.splitlines()]
    assert len(later) < 0.1 * event["total"], "it went on"
    assert seconds < 20
    assert everything_in(tmp_path / "out") == {"labels.nii.gz": b"labels of yesterday"}


def test_a_full_disk_is_one_sentence_and_an_exit_code(tmp_path: Path, model: Model) -> None:
    resource = pytest.importorskip("resource")
    write_nii(tmp_path / "scan.nii.gz", noise())
    (tmp_path / "labels.nii").write_bytes(b"labels of yesterday")
    before = everything_in(tmp_path)
    arguments = ("segment", "scan.nii.gz", "-o", "labels.nii", "--model", model.folder)
    job = process(*arguments, cwd=tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)))
    out, err = job.communicate(timeout=120)
    assert (job.returncode, out) == (1, "")
    assert err.startswith("ultralight: expected to write labels.nii, found an obstacle: File too large")
    assert err.count("\n") == 1
    assert everything_in(tmp_path) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_sentence_too(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        job = process("models", "--json", cwd=tmp_path, stdout=full)
        _, err = job.communicate(timeout=120)
    assert job.returncode == 1
    assert err.startswith("ultralight: ")
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_names_that_no_terminal_can_show_are_no_obstacle(tmp_path: Path, model: Model) -> None:
    names = [os.fsdecode(b"scan \xff \xc3\xa4.nii.gz"), os.fsdecode(b"labels \xff.nii.gz")]
    write_nii(tmp_path / "scan.nii.gz", noise()).rename(tmp_path / names[0])
    job = process("segment", names[0], "-o", names[1], "--model", model.folder, cwd=tmp_path)
    out, err = job.communicate(timeout=120)
    assert (job.returncode, err) == (0, "")
    assert "part 1" in out
    assert (tmp_path / names[1]).exists()


# ---- models


def test_models_are_listed_for_people_and_for_programs(ultralight: Command, model: Model, ultralight_home: Path) -> None:
    ulu.install_model(model.folder)
    (ultralight_home / "models" / "broken" / "1").mkdir(parents=True)
    listed = ultralight("models")
    assert listed.code == 0
    assert f"{model.id}  {model.title}\n    3D, MR; part 1, part 2\n    licence CC0-1.0\n" in listed.out
    entries = ultralight("models", "--json").events
    assert [entry["name"] for entry in entries] == [m.name for m in ulu.list_models()]
    (entry,) = [entry for entry in entries if entry["name"] == "volume"]
    assert entry["classes"] == ["background", "part 1", "part 2"]
    assert (entry["version"], entry["spatial_dims"], entry["in_channels"], entry["sha256"]) == ("1.0.0", 3, 1, model.sha256)
    assert ulu.load_model(entry["folder"]).id == model.id


def test_an_installed_model_is_used_by_its_name(tmp_path: Path, ultralight: Command, scan: Path, model: Model) -> None:
    ulu.install_model(model.folder)
    done = ultralight("segment", scan, "-o", tmp_path / "labels.nii.gz", "--model", "volume@1.0.0", "--json")
    assert done.events[-1]["model"] == "volume@1.0.0"


# ---- evaluate


def two_cubes(folder: Path, shift: int, *, name: str = "case.nii.gz", label: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4:12, 4:12, 4 + shift : 12 + shift] = label
    return write_nii(folder / name, labels, np.diag((2.0, 1.0, 1.0, 1.0)))


def test_two_files_are_compared(tmp_path: Path, ultralight: Command) -> None:
    pair = two_cubes(tmp_path / "prediction", 1), two_cubes(tmp_path / "reference", 0)
    case, mean = ultralight("evaluate", *pair, "--json").events
    assert (case["event"], case["case"], case["label"]) == ("case", "case", 1)
    assert case["dice"] == pytest.approx(7 / 8)
    assert case["hausdorff95"] == pytest.approx(2.0)
    assert (case["predicted"], case["reference"]) == pytest.approx((1.024, 1.024))
    assert mean == {"event": "mean", "label": 1, "cases": 1, "dice": pytest.approx(7 / 8)}
    strict, loose = (ultralight("evaluate", *pair, "--json", "--tolerance", mm).events[0]["surface_dice"] for mm in ("0.5", "2"))
    assert strict < loose == 1.0
    table = ultralight("evaluate", *pair).out.splitlines()
    assert table[0].split() == ["case", "class", "Dice", "HD95", "surface", "predicted", "reference"]
    assert table[1].split()[:4] == ["case", "1", "0.8750", "2.00"]


def test_folders_are_compared_by_base_name_and_a_class_missing_from_both_counts_as_agreement(tmp_path: Path, ultralight: Command) -> None:
    prediction, reference = tmp_path / "prediction", tmp_path / "reference"
    for folder, shift in ((prediction, 2), (reference, 0)):
        two_cubes(folder, shift, name="one.nii.gz")
        two_cubes(folder, 0, name="two.nii", label=2)
        (folder / "._one.nii.gz").write_bytes(b"left by another system")
        (folder / "notes.txt").write_text("")
    two_cubes(prediction, 0, name="extra.nii.gz")
    events = ultralight("evaluate", prediction, reference, "--json").events
    assert [(e["case"], e["label"], e["dice"]) for e in events if e["event"] == "case"] == [("one", 1, 0.75), ("two", 2, 1.0)]
    assert [(e["label"], e["cases"], e["dice"]) for e in events if e["event"] == "mean"] == [(1, 2, 0.875), (2, 2, 1.0)]
    assert "mean of 2" in ultralight("evaluate", prediction, reference).out


def test_labels_in_different_formats_can_be_compared(tmp_path: Path, ultralight: Command) -> None:
    reference = two_cubes(tmp_path, 0)
    labels = read_labels(reference)
    assert ultralight("evaluate", labels.save(tmp_path / "case.nrrd"), reference, "--json").events[0]["dice"] == 1.0


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no such file", "found nothing at"),
        ("file against folder", "expected two files or two folders"),
        ("nothing predicted", "found none for case"),
        ("empty folders", "the folder is empty"),
        ("two files of one name", "expected one file of each base name, found case.nii and case.nii.gz"),
        ("another grid", "expected two label images on one grid"),
        ("another place", "in different places"),
        ("an image", "expected whole numbers as labels"),
        ("damaged", "damaged or other file"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_sentence(tmp_path: Path, ultralight: Command, kind: str, said: str) -> None:
    prediction, reference = tmp_path / "prediction", tmp_path / "reference"
    if kind != "empty folders":
        two_cubes(reference, 0)
    if kind not in ("nothing predicted", "empty folders"):
        two_cubes(prediction, 0)
    pair = (prediction / "case.nii.gz", reference / "case.nii.gz")
    for folder in (prediction, reference):
        folder.mkdir(exist_ok=True)
    if kind == "no such file":
        pair = (prediction / "nothing.nii.gz", reference)
    elif kind == "file against folder":
        pair = (pair[0], reference)
    elif kind in ("nothing predicted", "empty folders", "two files of one name"):
        pair = (prediction, reference)
        if kind == "two files of one name":
            two_cubes(prediction, 0, name="case.nii")
    elif kind == "another grid":
        write_nii(pair[0], np.ones((20, 20, 19), np.uint8))
    elif kind == "another place":
        write_nii(pair[0], np.ones((20, 20, 20), np.uint8))
    elif kind == "an image":
        write_nii(pair[0], noise((20, 20, 20)).clip(0))
    else:
        cut(pair[0])
    done = ultralight("evaluate", *pair, "--json")
    assert said in sentence(done)


# ---- import-checkpoint


def test_a_checkpoint_is_imported_installed_and_used(tmp_path: Path, ultralight: Command) -> None:
    architecture = Architecture(2, 3, 1, VARIANTS["T"])
    state = {their_name(name): torch.from_numpy(values).float() for name, values in random_weights(architecture).items()}
    torch.save({"state_dict": state}, tmp_path / "best.pth")
    told = ("--classes", "polyp", "--size", "64x96", "--modality", "endoscopy", "--licence", "MIT")
    done = ultralight("import-checkpoint", tmp_path / "best.pth", "-o", tmp_path / "polyp", *told, "--install")
    assert (done.code, done.err) == (0, "")
    assert "polyp@1.0.0 in" in done.out
    assert "3 channel(s) in, 1 out, widths [4, 8, 16, 24, 32]" in done.out
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)).save(tmp_path / "frame.png")
    done = ultralight("segment", tmp_path / "frame.png", "-o", tmp_path / "labels.png", "--model", "polyp", "--json")
    assert done.code == 0
    assert done.events[-1]["classes"][0]["name"] == "polyp"
    assert np.asarray(Image.open(tmp_path / "labels.png")).shape == (50, 60)


def test_a_checkpoint_with_code_in_it_is_one_clear_sentence(tmp_path: Path, ultralight: Command) -> None:
    torch.save(Opener(tmp_path / "marker"), tmp_path / "evil.pth")
    said = sentence(ultralight("import-checkpoint", tmp_path / "evil.pth", "-o", tmp_path / "model"))
    assert "never run" in said
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"ultralight {ulu.__version__}\n"


# ---- the progress bar


def test_a_bar_shows_each_stage_on_a_terminal_and_goes_away(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = ProgressBar("scan.nii.gz")
    for event in (Progress("Preparing", 0, 1), Progress("Segmenting", 0, 4), Progress("Segmenting", 2, 4), Progress("Segmenting", 4, 4)):
        bar(event)
    bar.close()
    shown = capsys.readouterr().err
    assert "scan.nii.gz: Preparing" in shown
    assert "scan.nii.gz: Segmenting" in shown
    assert shown.endswith("\r")


def test_a_wrong_kind_of_image_is_doubted_on_stderr(ultralight: Command, model: Model, tmp_path: Path) -> None:
    values = np.full(SHAPE, -1000, np.int16)
    values[6:16, 8:20, 8:24] = 300
    path = write_nii(tmp_path / "ct.nii.gz", values)
    found = ultralight("segment", path, "-o", tmp_path / "labels.nii.gz", "--model", model.folder)
    assert found.code == 0
    assert f"{path}: expected MR images for volume, found CT" in found.err
