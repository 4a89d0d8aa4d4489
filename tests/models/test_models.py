"""A model folder is read whole or refused in one sentence, written whole or not at all, and never changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from tests.small_models import random_weights, small_model
from ultralightunet import LabelClass, Model, ModelError, OutputError, install_model, list_models, load_model, models
from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.home import home
from ultralightunet.models import METADATA, WEIGHTS, Intensity, read_model, write_model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return small_model(tmp_path / "model")


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Rewrite the metadata as `edit` leaves it, or as it returns it."""
    facts = json.loads((folder / METADATA).read_text())
    changed = edit(facts)
    (folder / METADATA).write_text(json.dumps(facts if changed is None else changed))


def exchange_weights(folder: Path, blob: bytes) -> None:
    """Other weights, with metadata that vouch for them."""
    (folder / WEIGHTS).write_bytes(blob)
    change(folder, lambda facts: facts["ultralight"].update(sha256=hashlib.sha256(blob).hexdigest()))


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def full_disk(free: int = 2000) -> Iterator[None]:
    """No file can grow beyond `free` bytes, as on a disk that is almost full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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


# ---- folders that are not what they should be


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


# ---- the user's models


def test_an_installed_model_is_found_by_name_by_version_and_by_folder(model: Model, ultralight_home: Path) -> None:
    installed = install_model(model.folder)
    assert installed.folder == ultralight_home / "models" / "small" / "1.0.0"
    assert everything_in(installed.folder) == everything_in(model.folder)
    for name in ("small", "small@1.0.0", installed.folder, str(installed.folder), installed):
        assert load_model(name).folder == installed.folder
    assert load_model(model.folder).folder == model.folder
    assert installed.id in [m.id for m in list_models()]


def test_installing_the_same_model_twice_is_installing_it_once(model: Model, ultralight_home: Path) -> None:
    install_model(model.folder)
    before = everything_in(ultralight_home)
    assert install_model(model.folder).folder == install_model(load_model("small").folder).folder
    assert everything_in(ultralight_home) == before


@pytest.mark.parametrize("what", ["weights", "facts"])
def test_another_model_of_the_same_version_is_refused(tmp_path: Path, model: Model, ultralight_home: Path, what: str) -> None:
    install_model(model.folder)
    before = everything_in(ultralight_home)
    other = small_model(tmp_path / "other", seed=1 if what == "weights" else 0)
    if what == "facts":
        change(other.folder, lambda facts: facts["ultralight"]["classes"][1].update(name="another part"))
    with pytest.raises(ModelError, match=f"small@1.0.0 is installed already with other {what}; give the new model another version"):
        install_model(other.folder)
    assert everything_in(ultralight_home) == before


def test_a_model_with_damaged_weights_is_not_installed(model: Model, ultralight_home: Path) -> None:
    (model.folder / WEIGHTS).write_bytes(b"")
    with pytest.raises(ModelError, match="sha256"):
        install_model(model.folder)
    assert everything_in(ultralight_home) == {}


@pytest.mark.parametrize("name", ["../../outside", "/outside", "..", "", "a@b", ".hidden", "a/b", "a\\b", "a:b", "a\n", "x" * 300])
@pytest.mark.parametrize("key", ["name", "version"])
def test_no_name_or_version_leads_out_of_the_users_models(model: Model, ultralight_home: Path, key: str, name: str) -> None:
    change(model.folder, lambda facts: (facts["ultralight"] if key == "name" else facts).update({key: name}))
    with pytest.raises(ModelError if len(name) < 300 else OutputError):
        install_model(model.folder)
    assert everything_in(ultralight_home) == {}
    assert [path.name for path in model.folder.parent.iterdir()] == ["model"]


def test_a_full_disk_leaves_no_half_a_model_installed(model: Model, ultralight_home: Path) -> None:
    with full_disk(), pytest.raises(OutputError, match="could not be copied.*ULTRALIGHT_HOME"):
        install_model(model.folder)
    assert everything_in(ultralight_home) == {}
    assert load_model(install_model(model.folder)).id == "small@1.0.0"


def test_a_model_from_a_read_only_disk_can_be_moved_and_deleted(model: Model) -> None:
    everything = [model.folder, *model.folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        installed = install_model(model.folder)
    finally:
        for path in everything:
            path.chmod(0o755)
    assert all(path.stat().st_mode & 0o200 for path in (installed.folder, *installed.folder.rglob("*")))


def test_ultralight_home_says_where_the_users_models_are(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULTRALIGHT_HOME", str(tmp_path / "elsewhere"))
    assert all(m.name != "small" for m in list_models())
    assert not (tmp_path / "elsewhere").exists(), "it is made only when something is written to it"
    assert install_model(model.folder).folder.is_relative_to(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ULTRALIGHT_HOME", "~/elsewhere")
    assert load_model("small").folder.is_relative_to(tmp_path / "elsewhere")
    monkeypatch.delenv("ULTRALIGHT_HOME")
    assert home() != tmp_path / "elsewhere"
    assert home().is_absolute()


def test_a_file_in_the_place_of_the_home_is_one_clear_error(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("ULTRALIGHT_HOME", str(tmp_path / "file"))
    assert all(m.name != "small" for m in list_models())
    with pytest.raises(OutputError, match="ULTRALIGHT_HOME"):
        install_model(model.folder)
    assert (tmp_path / "file").read_text() == "mine"


def test_unreadable_folders_are_left_out_of_the_list(tmp_path: Path, ultralight_home: Path) -> None:
    for number, name in enumerate(("good", "damaged", "newer", "nothing")):
        install_model(small_model(tmp_path / name, name=name, seed=number).folder)
    installed = ultralight_home / "models"
    (installed / "damaged" / "1.0.0" / METADATA).write_text("[" * 100_000)
    change(installed / "newer" / "1.0.0", lambda facts: facts["ultralight"].update(schema_version=9))
    shutil.rmtree(installed / "nothing" / "1.0.0" / "configs")
    (installed / "stray.txt").write_text("")
    (installed / "good" / "current").write_text("1.0.0\n")
    (installed / "loop").symlink_to(installed / "loop")
    shipped = len(list(models.SHIPPED.glob("*")))
    assert [m.name for m in list_models()][shipped:] == ["good"]
    assert load_model("good").id == "good@1.0.0"


@pytest.mark.parametrize(
    ("key", "odd"),
    [
        ("origin", {"cases": [{"case": "a", "revision": "three", "image_sha256": "b"}]}),
        ("origin", ["trained"]),
        ("title", 7),
        ("classes", {"0": "background"}),
        ("window", None),
        ("plausible_ml", [1, 2]),
    ],
    ids=str,
)
def test_an_odd_model_among_the_installed_ones_is_named_and_passed_over(
    tmp_path: Path, ultralight_home: Path, caplog: pytest.LogCaptureFixture, key: str, odd: Any
) -> None:
    install_model(small_model(tmp_path / "good", name="good").folder)
    install_model(small_model(tmp_path / "odd", name="odd").folder)
    change(ultralight_home / "models" / "odd" / "1.0.0", lambda facts: facts["ultralight"].update({key: odd}))
    for _ in range(3):
        assert "good" in [found.name for found in list_models()]
        assert "odd" not in [found.name for found in list_models()]
        assert load_model("good").name == load_model("good@1.0.0").name == "good"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("passed over a model that cannot be used: expected UltraLight's facts in ")
    assert str(ultralight_home / "models" / "odd" / "1.0.0") in said


def test_what_is_not_finished_or_no_folder_is_no_model(tmp_path: Path, ultralight_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    install_model(small_model(tmp_path / "good", name="good").folder)
    (ultralight_home / "models" / "good" / ".lock").write_bytes(b"")
    (ultralight_home / "models" / "good" / "current").write_text("1.0.0\n")
    shutil.copytree(tmp_path / "good", ultralight_home / "models" / "good" / ".writing-01234567-1-01234567")
    assert [found.id for found in list_models() if found.name == "good"] == ["good@1.0.0"]
    assert caplog.records == []


# ---- several at once, others' folders, a shared place

INSTALL = """
import sys
from pathlib import Path
from ultralightunet import install_model
sys.stdin.readline()
print(install_model(Path(sys.argv[1])).folder)
"""


def test_processes_that_install_one_model_at_once_all_succeed(tmp_path: Path, model: Model, root: Path, ultralight_home: Path) -> None:
    command = [sys.executable, "-c", INSTALL, str(model.folder)]
    jobs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(3)]
    # They import meanwhile, and then begin together.
    outs = {job.communicate("go\n", timeout=120)[0].strip() for job in jobs}
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert outs == {str(ultralight_home / "models" / "small" / "1.0.0")}
    assert [path.name for path in (ultralight_home / "models" / "small").iterdir()] == ["1.0.0"]


def test_a_model_that_another_process_installed_in_between_is_the_same_or_refused(
    tmp_path: Path, ultralight_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same, other = small_model(tmp_path / "same"), small_model(tmp_path / "other", seed=1)

    def overtaken(by: Model) -> None:
        def copy(source: Path, target: Path) -> None:
            shutil.copytree(source, target)
            shutil.copytree(by.folder, ultralight_home / "models" / "small" / "1.0.0")

        monkeypatch.setattr("ultralightunet.models.registry._copy", copy)

    overtaken(same)
    assert install_model(same.folder).sha256 == same.sha256
    shutil.rmtree(ultralight_home / "models" / "small" / "1.0.0")
    overtaken(other)
    with pytest.raises(ModelError, match="installed already with other weights"):
        install_model(same.folder)
    assert [path.name for path in (ultralight_home / "models" / "small").iterdir()] == ["1.0.0"]


@pytest.mark.parametrize("link", ["a file", "a folder", "itself", "nothing"])
def test_a_link_that_leads_out_of_a_model_folder_is_not_followed(tmp_path: Path, model: Model, ultralight_home: Path, link: str) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "letter").write_text("secret")
    private = tmp_path / "private"
    targets = {"a file": private / "letter", "a folder": private, "itself": model.folder, "nothing": tmp_path / "nowhere"}
    (model.folder / "README.md").symlink_to(targets[link])
    with pytest.raises(ModelError, match="found the link README.md that leads elsewhere; copy the files themselves"):
        install_model(model.folder)
    assert everything_in(ultralight_home) == {}
    (model.folder / "README.md").unlink()
    (model.folder / "README.md").symlink_to("LICENSE")
    assert (install_model(model.folder).folder / "README.md").read_text() == "CC0-1.0\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
@pytest.mark.parametrize("path", [METADATA, WEIGHTS, Path("README.md")], ids=str)
def test_a_pipe_in_a_model_folder_does_not_hang(model: Model, ultralight_home: Path, path: Path) -> None:
    (model.folder / path).unlink(missing_ok=True)
    os.mkfifo(model.folder / path)
    with pytest.raises(ModelError, match="is no file|found that README.md is none"):
        install_model(model.folder)
    assert everything_in(ultralight_home) == {}


def test_a_weight_file_that_is_far_too_large_is_not_read(model: Model) -> None:
    with (model.folder / WEIGHTS).open("r+b") as file:
        # Holes: nothing of it takes room on the disk.
        file.truncate(10**10)
    with pytest.raises(ModelError, match=r"found another thing: 10000000000 bytes are more than model.safetensors can hold"):
        read_model(model.folder).weights()


@pytest.mark.skipif(os.name != "posix", reason="permissions are another thing on Windows")
def test_on_a_shared_home_whoever_reads_the_models_reads_the_choice(tmp_path: Path, model: Model, ultralight_home: Path) -> None:
    ultralight_home.chmod(0o755)
    model.folder.chmod(0o700)
    before = os.umask(0o077)
    try:
        install_model(model.folder)
        models.set_current("small", "1.0.0")
    finally:
        os.umask(before)
    made = list((ultralight_home / "models").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o644}
    assert ultralight_home / "models" / "small" / "current" in made


def test_a_name_means_the_version_that_was_made_current(tmp_path: Path, ultralight_home: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        install_model(small_model(tmp_path / version, version=version).folder)
    pointer = ultralight_home / "models" / "small" / "current"
    for version in ("1.1.0", "1.0.0"):
        pointer.write_text(version + "\n")
        assert load_model("small").version == version
        assert load_model("small@1.1.0").version == "1.1.0"
    for nonsense in (b"7.0.0", b"", b"\xff\xfe\x00"):
        pointer.write_bytes(nonsense)
        assert load_model("small").name == "small"


def test_a_folder_that_is_called_like_a_model_does_not_hide_it(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = install_model(model.folder)
    (tmp_path / "work" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert load_model("small").folder == installed.folder
    small_model(tmp_path / "work" / "small" / "inside", version="9")
    assert load_model("small/inside").version == "9"


@pytest.mark.parametrize("name", ["nothing", "small@9", "", "@", "x" * 5000, "a\0b", "no/such/folder", "../.."])
def test_a_model_that_is_not_there_is_refused_with_what_there_is(model: Model, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install_model(model.folder)
    monkeypatch.chdir(model.folder.parent)
    with pytest.raises(ModelError, match="small@1.0.0|expected a model folder with configs"):
        load_model(name)


def test_listing_models_reads_no_weights_and_imports_no_engine(root: Path) -> None:
    probe = "import sys; from ultralightunet import list_models; list_models(); print(sorted({'torch', 'openvino'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=root, check=True)
    assert found.stdout == "[]\n"


def test_a_models_facts_cannot_be_changed_by_accident(model: Model) -> None:
    with pytest.raises(AttributeError):
        model.name = "other"  # type: ignore[misc]
    assert replace(model, name="other").id == "other@1.0.0"
