"""`ultralight models`, and models by their name."""

from __future__ import annotations

from pathlib import Path

import ultralightunet as ulu
from tests.command import Command
from ultralightunet.models import Model


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
