"""Several versions of one model: which is used, how another is chosen, and what each came from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.full_disk import full_disk
from tests.small_models import random_weights, small_model
from ultralightunet.cli import main
from ultralightunet.corrections import default_store
from ultralightunet.errors import ModelError, OutputError
from ultralightunet.models import Model, images_seen, install_model, load_model, set_current, trace, versions, write_model


def installed(tmp_path: Path, version: str, *, name: str = "small", parent: str = "", origin: dict[str, Any] | None = None) -> Model:
    plain = small_model(tmp_path / f"{name}-{version}-plain", name=name, version=version)
    folder = tmp_path / f"{name}-{version}"
    write_model(folder, replace(plain, parent=parent, origin=origin or {}), random_weights(plain.architecture), licence_text="CC0-1.0\n")
    return install_model(folder)


def origin_of(*images: str, holdout: str = "") -> dict[str, Any]:
    cases = [
        {"case": image, "revision": 1, "use": use, "image_sha256": image * 4, "labels_sha256": image * 2}
        for image, use in [*((image, "train") for image in images), *([(holdout, "holdout")] if holdout else [])]
    ]
    return {"created": "2026-01-31T12:00:00+00:00", "decision": "promoted", "cases": cases}


def family(tmp_path: Path) -> None:
    installed(tmp_path, "1.0.0")
    installed(tmp_path, "1.0.0+r1", parent="small@1.0.0", origin=origin_of("aa", "bb", holdout="cc"))
    installed(tmp_path, "1.0.0+r2", parent="small@1.0.0+r1", origin=origin_of("dd", holdout="cc"))


def test_the_store_of_a_model_is_one_for_all_its_versions(ultralight_home: Path) -> None:
    assert default_store("brain") == default_store("brain@0.1.0+r3") == ultralight_home / "stores" / "brain"
    assert not default_store("brain").exists()


def test_a_retrained_version_is_used_only_once_it_is_chosen(tmp_path: Path) -> None:
    family(tmp_path)
    assert load_model("small").version == "1.0.0"
    assert [(v.model.version, v.is_current) for v in versions("small")] == [("1.0.0", True), ("1.0.0+r1", False), ("1.0.0+r2", False)]
    set_current("small", "1.0.0+r2")
    assert load_model("small").version == "1.0.0+r2"
    assert [v.is_current for v in versions("small")] == [False, False, True]
    set_current("small", "1.0.0")
    assert load_model("small").version == "1.0.0"


def test_a_higher_version_from_elsewhere_is_used_at_once_unless_another_was_chosen(tmp_path: Path) -> None:
    family(tmp_path)
    installed(tmp_path, "1.10.0")
    installed(tmp_path, "1.9.0")
    assert load_model("small").version == "1.10.0"
    set_current("small", "1.0.0+r1")
    assert load_model("small").version == "1.0.0+r1"


def test_a_model_trained_from_another_one_is_no_retrained_version(tmp_path: Path) -> None:
    installed(tmp_path, "1.0.0", parent="brain@0.1.0")
    installed(tmp_path, "1.0.0+r1", parent="small@1.0.0")
    assert load_model("small").version == "1.0.0"


def test_the_tenth_retraining_is_listed_after_the_ninth(tmp_path: Path) -> None:
    for number in (9, 10, 2):
        installed(tmp_path, f"1.0.0+r{number}", parent="small@1.0.0")
    assert [v.model.version for v in versions("small")] == ["1.0.0+r2", "1.0.0+r9", "1.0.0+r10"]


def test_a_chosen_version_that_was_deleted_no_longer_counts(tmp_path: Path) -> None:
    family(tmp_path)
    chosen = set_current("small", "1.0.0+r1")
    for path in sorted(chosen.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    chosen.folder.rmdir()
    assert load_model("small").version == "1.0.0"


def test_a_version_that_is_not_there_cannot_be_chosen(tmp_path: Path) -> None:
    family(tmp_path)
    with pytest.raises(ModelError, match=r"expected a version of small that is at hand \(small@1.0.0, .*found '2.0.0'"):
        set_current("small", "2.0.0")
    with pytest.raises(ModelError, match="expected the name of a model"):
        versions("none")
    assert load_model("small").version == "1.0.0"


def test_on_a_full_disk_the_choice_before_still_counts(tmp_path: Path) -> None:
    family(tmp_path)
    set_current("small", "1.0.0+r1")
    with full_disk(free=0), pytest.raises(OutputError, match="expected to note .* that small@1.0.0 is used"):
        set_current("small", "1.0.0")
    assert load_model("small").version == "1.0.0+r1"
    assert not list(load_model("small").folder.parent.glob(".current-*"))


def test_a_model_is_traced_to_its_parents_their_cases_and_hashes(tmp_path: Path) -> None:
    family(tmp_path)
    newest, middle, first = trace(load_model("small@1.0.0+r2"))
    assert [step["model"] for step in (newest, middle, first)] == ["small@1.0.0+r2", "small@1.0.0+r1", "small@1.0.0"]
    assert [case["case"] for case in middle["cases"]] == ["aa", "bb", "cc"]
    assert middle["cases"][0]["labels_sha256"] == "aaaa"
    assert newest["parent"] == "small@1.0.0+r1"
    assert len(first["sha256"]) == 64


def test_what_any_ancestor_was_trained_on_is_known_and_what_was_held_out_is_not_among_it(tmp_path: Path) -> None:
    family(tmp_path)
    assert images_seen(load_model("small@1.0.0+r2")) == {"aa" * 4, "bb" * 4, "dd" * 4}
    assert images_seen(load_model("small")) == frozenset()


def test_the_command_chooses_and_traces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family(tmp_path)
    assert main(["models", "use", "small@1.0.0+r1"]) == 0
    assert "small is now small@1.0.0+r1" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {f"{line['name']}@{line['version']}": line for line in lines}
    assert found["small@1.0.0+r1"]["current"]
    assert not found["small@1.0.0"]["current"]
    assert found["small@1.0.0+r1"]["created"] == "2026-01-31T12:00:00+00:00"
    assert found["small@1.0.0+r1"]["cases"][0]["image_sha256"] == "aaaaaaaa"
    assert main(["models", "trace", "small", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["model"] for line in lines] == ["small@1.0.0+r1", "small@1.0.0"]
    assert main(["models"]) == 0
    assert "small@1.0.0+r1  a small model for tests  (in use)" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["small", "small@9", "none@1.0.0"])
def test_the_command_names_the_versions_that_can_be_chosen(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    family(tmp_path)
    assert main(["models", "use", model]) == 1
    assert ("small@1.0.0+r2" in capsys.readouterr().err) == model.startswith("small")


def test_a_trace_that_ends_before_its_beginning_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(tmp_path, "1.0.0+r1", parent="small@1.0.0")
    assert main(["models", "trace", "small@1.0.0+r1"]) == 0
    assert "small@1.0.0, from which small@1.0.0+r1 was trained, is not at hand" in capsys.readouterr().err
