"""A model folder that is not what it should be is refused in one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from tests.models.changes import change, exchange_weights
from tests.small_models import small_model
from ultralightunet import Model, ModelError, load_model
from ultralightunet.models import METADATA, WEIGHTS, read_model


def test_a_flipped_bit_in_the_weights_is_noticed(model: Model) -> None:
    blob = bytearray((model.folder / WEIGHTS).read_bytes())
    blob[-1] ^= 1
    (model.folder / WEIGHTS).write_bytes(blob)
    with pytest.raises(ModelError, match=r"expected weights with sha256 [0-9a-f]{12}\.\.\., found [0-9a-f]{12}\.\.\.") as caught:
        read_model(model.folder).weights()
    assert str(model.folder) in str(caught.value)


def test_missing_weights_are_named(model: Model) -> None:
    (model.folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="expected the weights of small@1.0.0 at"):
        read_model(model.folder).weights()


def test_weights_of_another_model_are_refused_even_where_the_metadata_vouch_for_them(tmp_path: Path, model: Model) -> None:
    other = small_model(tmp_path / "other", classes=4)
    exchange_weights(model.folder, (other.folder / WEIGHTS).read_bytes())
    with pytest.raises(ModelError, match="do not fit its metadata: expected head.weight"):
        read_model(model.folder).weights()


@pytest.mark.parametrize("blob", [b"", b"not tensors at all", b"\x80\x04."])
def test_weights_that_are_no_safetensors_are_refused_even_where_the_metadata_vouch_for_them(model: Model, blob: bytes) -> None:
    exchange_weights(model.folder, blob)
    with pytest.raises(ModelError, match="expected a safetensors file"):
        read_model(model.folder).weights()


@pytest.mark.parametrize("kind", ["nan", "integers", "bfloat16"])
def test_weights_that_are_not_finite_numbers_are_refused_even_where_the_metadata_vouch_for_them(model: Model, kind: str) -> None:
    weights = {name: values.astype(np.float16) for name, values in model.weights().items()}
    if kind == "nan":
        weights["head.bias"][0] = np.nan
    if kind == "bfloat16":
        blob = safetensors.torch.save({name: torch.from_numpy(values).bfloat16() for name, values in weights.items()})
    else:
        blob = safetensors.numpy.save({n: v.astype(np.int16) for n, v in weights.items()} if kind == "integers" else weights)
    exchange_weights(model.folder, blob)
    with pytest.raises(ModelError, match="expected (weights that are finite numbers|a safetensors file)"):
        read_model(model.folder).weights()


@pytest.mark.parametrize(
    "text", ["", "{", "not json", "[" * 100_000, "\x00", "[1]", "null", "3", '"text"', "{}", '{"ultralight": 3}', '{"ultralight": {}}']
)
def test_damaged_metadata_are_refused(model: Model, text: str) -> None:
    (model.folder / METADATA).write_text(text)
    with pytest.raises(ModelError, match="metadata.json"):
        read_model(model.folder)


def test_metadata_in_another_encoding_are_refused(model: Model) -> None:
    (model.folder / METADATA).write_bytes(b"\xff\xfe" + "{}".encode("utf-16-le"))
    with pytest.raises(ModelError, match="expected JSON"):
        read_model(model.folder)


def test_a_folder_without_metadata_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a model folder with configs/metadata.json") as caught:
        load_model(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("key", ["schema_version", "architecture", "classes", "window", "intensity", "name", "title", "licence", "sha256"])
def test_a_missing_fact_is_named(model: Model, key: str) -> None:
    change(model.folder, lambda facts: facts["ultralight"].pop(key) and None)
    with pytest.raises(ModelError, match=f"found a fault: no '{key}'"):
        read_model(model.folder)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("architecture", {"out_channels": 2}),
        ("architecture", {"in_channels": 0}),
        ("architecture", {"spatial_dims": 4}),
        ("architecture", {"channels": [4, 8, 16, 24]}),
        ("architecture", {"channels": [0, 0, 0, 0, 0]}),
        ("architecture", {"channels": "TTTTT"}),
        ("architecture", {"norm": "group"}),
        ("intensity", {"rule": "guess"}),
        ("intensity", {"low": 99.0, "high": 1.0}),
        ("intensity", {"high": 101.0}),
        ("intensity", {"low": "low"}),
        ("intensity", {"std": [0.0]}),
        ("intensity", {"mean": [1.0, 2.0, 3.0]}),
        ("intensity", {"gamma": 2.0}),
        (None, {"window": [32, 32, 48]}),
        (None, {"window": [32, 32]}),
        (None, {"window": [0, 0, 0]}),
        (None, {"window": [-32, 32, 32]}),
        (None, {"spacing": [0.0, 1.0, 1.0]}),
        (None, {"spacing": [1.0, -1.0, 1.0]}),
        (None, {"spacing": [1.0, 1.0]}),
        (None, {"spacing": ["nan", 1.0, 1.0]}),
        (None, {"window": [1024, 1024, 1024]}),
        (None, {"window": [32.5, 32, 32]}),
        (None, {"size": [1, 10**9]}),
        (None, {"whole": 10**6}),
        (None, {"title": None}),
        (None, {"title": "a\x1b[2Jtitle"}),
        (None, {"licence": ["CC0"]}),
        (None, {"parent": 7}),
        (None, {"origin": []}),
        (None, {"origin": "trained"}),
        (None, {"origin": {"cases": 3}}),
        (None, {"origin": {"cases": [[1]]}}),
        (None, {"origin": {"cases": [{"case": "a", "revision": None, "image_sha256": "b"}]}}),
        (None, {"origin": {"cases": [{"case": "a", "revision": "one", "image_sha256": "b"}]}}),
        (None, {"origin": {"created": {"year": 2026}}}),
        ("architecture", {"out_channels": 10**9}),
        (None, {"size": [64]}),
        (None, {"size": [0, 0]}),
        (None, {"whole": -1}),
        (None, {"mirrored": [3]}),
        (None, {"mirrored": [1, 1]}),
        (None, {"mirrored": [-1]}),
        (None, {"keep_largest": [[3]]}),
        (None, {"classes": []}),
        (None, {"schema_version": "one"}),
    ],
    ids=str,
)
def test_facts_that_contradict_themselves_are_refused(model: Model, part: str | None, wrong: dict[str, Any]) -> None:
    change(model.folder, lambda facts: (facts["ultralight"][part] if part else facts["ultralight"]).update(wrong))
    with pytest.raises(ModelError, match="expected UltraLight's facts in .*metadata.json, found a fault: "):
        read_model(model.folder)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ["spacing", "out_channels", "a score"])
def test_numbers_that_are_none_are_refused_wherever_they_stand(model: Model, text: str, place: str) -> None:
    def edit(facts: dict[str, Any]) -> None:
        if place == "spacing":
            facts["ultralight"]["spacing"] = ["HERE", 1.0, 1.0]
        elif place == "out_channels":
            facts["ultralight"]["architecture"]["out_channels"] = "HERE"
        else:
            facts["eval_metrics"] = {"Dice": {"mean": "HERE"}}

    change(model.folder, edit)
    path = model.folder / METADATA
    path.write_text(path.read_text().replace('"HERE"', text))
    with pytest.raises(ModelError, match=r"expected JSON in .*metadata.json, found a damaged file"):
        read_model(model.folder)


@pytest.mark.parametrize("wrong", [{"color": [1, 2]}, {"color": [1, 2, 256]}, {"index": 2}, {"index": "first"}])
def test_a_class_that_makes_no_sense_is_refused(model: Model, wrong: dict[str, Any]) -> None:
    change(model.folder, lambda facts: facts["ultralight"]["classes"][1].update(wrong))
    with pytest.raises(ModelError, match="found a fault"):
        read_model(model.folder)


@pytest.mark.parametrize("rest", ["as now", "all different"])
def test_a_folder_of_a_newer_version_says_what_to_update(model: Model, rest: str) -> None:
    newer = {"schema_version": 2}
    change(model.folder, lambda facts: facts.update(ultralight=newer) if rest == "all different" else facts["ultralight"].update(newer))
    with pytest.raises(ModelError, match="written by a newer version of UltraLight; update UltraLight"):
        read_model(model.folder)
