"""A model folder is written and read whole, or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.full_disk import full_disk
from tests.models.changes import everything_in
from tests.small_models import random_weights, small_model
from ultralightunet import LabelClass, Model, ModelError, OutputError
from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.models import METADATA, WEIGHTS, Intensity, read_model, write_model

# ---- written and read again


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    architecture = Architecture(2, 3, 4, VARIANTS["S"], "instance")
    written = Model(
        folder=tmp_path / "a" / "new" / "folder",
        name="polyp",
        version="2.1.0+local",
        title="Polyps in a colonoscopy",
        modality="endoscopy",
        architecture=architecture,
        classes=tuple(LabelClass(n, f"Klasse {n} äöü", (n, 2, 255), "12345" if n else "") for n in range(4)),
        spacing=(0.5, 0.25),
        size=(352, 300),
        window=(352, 320),
        whole=1.5,
        intensity=Intensity("scale", 1.0, 200.0, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)),
        mirrored=(1,),
        keep_largest=((1,), (2, 3)),
        licence="CC-BY-4.0",
        intended_use="research",
        scores={"Dice": 0.5},
        parent="polyp@1.0.0",
    )
    weights = random_weights(architecture)
    write_model(written.folder, written, weights, licence_text="all yours, é\n", metadata={"references": ["doi"]})
    found = read_model(written.folder)
    for field in fields(Model):
        if field.name not in ("sha256", "metadata"):
            assert getattr(found, field.name) == getattr(written, field.name), field.name
    assert found.id == "polyp@2.1.0+local"
    assert found.metadata["references"] == ["doi"]
    assert found.sha256 == hashlib.sha256((found.folder / WEIGHTS).read_bytes()).hexdigest()
    assert (found.folder / "LICENSE").read_text(encoding="utf-8") == "all yours, é\n"
    assert found.weights().keys() == weights.keys()
    for name, values in found.weights().items():
        assert values.dtype == np.float16
        np.testing.assert_array_equal(values, weights[name].astype(np.float16))


def test_a_folder_holds_the_three_files_and_nothing_else(model: Model) -> None:
    assert sorted(everything_in(model.folder)) == ["LICENSE", str(METADATA), str(WEIGHTS)]
    assert [path.name for path in model.folder.parent.iterdir()] == ["model"]


def test_the_same_model_makes_the_same_files(tmp_path: Path) -> None:
    first, second = (small_model(tmp_path / name) for name in ("one", "two"))
    assert everything_in(first.folder) == everything_in(second.folder)


@pytest.mark.parametrize("present", ["a model", "an empty folder", "a file", "a link to nowhere"])
def test_what_is_there_is_never_rewritten(tmp_path: Path, model: Model, present: str) -> None:
    target = model.folder if present == "a model" else tmp_path / "target"
    if present == "an empty folder":
        target.mkdir()
    elif present == "a file":
        target.write_text("mine")
    elif present == "a link to nowhere":
        target.symlink_to(tmp_path / "nowhere")
    before = everything_in(tmp_path)
    with pytest.raises(ModelError, match="never rewritten"):
        small_model(target, seed=1)
    assert everything_in(tmp_path) == before


# ---- what cannot be written leaves nothing behind


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": (33, 32, 32)},
        {"window": (32, 32)},
        {"window": (0, 32, 32)},
        {"name": "../outside"},
        {"name": ""},
        {"version": "1@2"},
        {"scores": {"Dice": float("nan")}},
        {"scores": {"Dice": np.float32(0.5)}},
        {"spacing": (1.0, 1.0)},
        {"keep_largest": ((7,),)},
        {"classes": (LabelClass(0, "background"), LabelClass(2, "two"), LabelClass(1, "one"))},
        {"classes": (LabelClass(0, "background"),)},
    ],
    ids=str,
)
def test_facts_that_make_no_model_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, Any]) -> None:
    architecture = Architecture(3, 1, 3, VARIANTS["T"])
    right = {"name": "n", "version": "1", "title": "", "modality": "MR", "window": (32, 32, 32)}
    classes = tuple(LabelClass(n, str(n)) for n in range(3))
    model = Model(folder=tmp_path, architecture=architecture, **{"classes": classes, **right, **wrong})
    with pytest.raises(ModelError, match="expected facts that make a model, found a fault"):
        write_model(tmp_path / "new" / "model", model, random_weights(architecture), licence_text="")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [1e6, np.inf, -np.inf, np.nan])
def test_weights_beyond_half_precision_are_refused(tmp_path: Path, model: Model, value: float) -> None:
    weights = random_weights(model.architecture)
    weights["head.bias"][1] = value
    with pytest.raises(ModelError, match="half precision can hold"):
        write_model(tmp_path / "new", model, weights, licence_text="")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("fault", ["missing", "more", "shape"])
def test_weights_of_another_network_are_refused_by_the_name_of_the_first_that_differs(tmp_path: Path, model: Model, fault: str) -> None:
    weights = random_weights(model.architecture)
    if fault == "missing":
        del weights["gates.2.gate.0.bias"]
    elif fault == "more":
        weights["gates.2.gate.0.scale"] = np.zeros(1)
    else:
        weights["gates.2.gate.0.bias"] = np.zeros(99)
    with pytest.raises(ModelError, match="do not fit its metadata.*gates.2.gate.0"):
        write_model(tmp_path / "new", model, weights, licence_text="")
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, model: Model) -> None:
    with full_disk(), pytest.raises(OutputError, match="could not be written"):
        small_model(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_below_a_file_cannot_be_written_and_the_file_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="could not be written"):
        small_model(tmp_path / "file" / "model")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_models_facts_cannot_be_changed_by_accident(model: Model) -> None:
    with pytest.raises(AttributeError):
        model.name = "other"  # type: ignore[misc]
    assert replace(model, name="other").id == "other@1.0.0"
