"""`ultralight evaluate`."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.cli.scans import cut, noise
from tests.command import Command, sentence
from tests.io_files import write_nii
from ultralightunet.io import read_labels


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


def test_a_header_that_contradicts_itself_is_told_of_and_a_refusal_comes_alone(tmp_path: Path, ultralight: Command) -> None:
    pair = two_cubes(tmp_path / "prediction", 0), two_cubes(tmp_path / "reference", 0)
    data = bytearray(gzip.decompress(pair[0].read_bytes()))
    data[80:84] = np.array(7, "<f4").tobytes()
    pair[0].write_bytes(gzip.compress(data))
    done = ultralight("evaluate", *pair)
    assert done.code == 0
    assert done.err.startswith(f"ultralight: {pair[0]}: the header contradicts itself")
    pair[0].write_bytes(gzip.compress(data)[:-99])
    refused = ultralight("evaluate", *pair)
    assert (refused.code, refused.out) == (1, "")


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
