"""`ultralight segment`: what cannot work is one clear sentence, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

import ultralightunet as ulu
from tests.cli.scans import SHAPE, cut, everything_in, noise
from tests.command import Command, sentence
from tests.full_disk import full_disk
from tests.io_files import dicom, dicom_series, write_nii
from tests.small_models import small_model
from ultralightunet.cli import main
from ultralightunet.io import read_image
from ultralightunet.models import METADATA, WEIGHTS, Model


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
