"""Model folders that are damaged in ways that nobody thought of: refused in a sentence, or passed over, and never in the way of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damage import damaged_bytes, damaged_json
from tests.small_models import small_model
from ultralightunet import ModelError, load_model
from ultralightunet.cli import main
from ultralightunet.models import METADATA, WEIGHTS, images_seen, install_model, list_models, read_model, trace, versions

ORIGIN = {
    "created": "2026-01-31T12:00:00+00:00",
    "decision": "promoted",
    "cases": [{"case": "0123456789abcdef", "revision": 1, "use": "train", "image_sha256": "0" * 64, "labels_sha256": "1" * 64}],
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scores = {"Dice": {"mean": 0.5, "parent": 0.4}}
    folder = tmp_path_factory.mktemp("models") / "odd"
    return small_model(folder, name="odd", parent="odd@0.9", origin=ORIGIN, scores=scores, plausible_ml={1: (1.0, 2.0)}).folder


@settings(max_examples=80)
@given(data=st.data())
def test_whatever_is_in_the_facts_an_installed_model_is_used_or_passed_over(
    good: Path, ultralight_home: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    folder = ultralight_home / "models" / "odd" / "1.0.0"
    if not folder.exists():
        folder.parent.mkdir(parents=True)
        shutil.copytree(good, folder)
    blob = data.draw(damaged_json(json.loads((good / METADATA).read_bytes())))
    (folder / METADATA).write_bytes(blob)
    (folder.parent / "current").write_bytes(data.draw(damaged_bytes(b"1.0.0\n")))
    said = ""
    try:
        model = read_model(folder)
        trace(model), images_seen(model), versions(model.name)
    except ModelError as error:
        said = str(error)
    assert "\n" not in said
    assert (folder in [found.folder for found in list_models()]) == (not said)
    assert load_model("brain").name == "brain"
    for command in (["models"], ["models", "--json"]):
        assert main(command) == 0
        out = capsys.readouterr().out
        assert "brain" in out
        assert all(letter.isprintable() or letter == "\n" for letter in out)


@settings(max_examples=40)
@given(data=st.data())
def test_whatever_is_in_the_weights_they_are_the_right_ones_or_refused(
    good: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "odd"
    shutil.copytree(good, folder)
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data.draw(damaged_bytes(whole)))
    is_same = (folder / WEIGHTS).read_bytes() == whole
    said = ""
    try:
        install_model(folder).weights()
    except ModelError as error:
        said = str(error)
    assert is_same == (said == "")
    assert "\n" not in said
