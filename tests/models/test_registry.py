"""The user's models: installed, found and listed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.full_disk import full_disk
from tests.models.changes import change, everything_in
from tests.small_models import small_model
from ultralightunet import Model, ModelError, OutputError, install_model, list_models, load_model, models
from ultralightunet.home import home
from ultralightunet.models import METADATA, WEIGHTS


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
