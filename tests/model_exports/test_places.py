"""Where a model is exported to, by which command, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import ultralightunet as ulu
from tests.command import Command, sentence
from tests.full_disk import full_disk
from tests.model_exports.inputs import everything_in, volume_model
from ultralightunet import InputError, ModelError, OutputError
from ultralightunet import model_exports as exports
from ultralightunet.cli.export_model import FORMATS as TOLD
from ultralightunet.model_exports import FORMATS, export_model
from ultralightunet.models import Model


def test_a_shipped_model_is_exported_by_name_and_its_licence_is_said(tmp_path: Path, ultralight: Command) -> None:
    out = tmp_path / "new" / "polyp"
    done = ultralight("export-model", "polyp", "-o", out, "--format", "monai-bundle")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{ulu.load_model('polyp').id} -> {out} (licence of the model: Research use only (CVC-ClinicDB))\n"
    assert [path.name for path in out.parent.iterdir()] == ["polyp"]


def test_the_command_line_knows_every_format() -> None:
    assert tuple(FORMATS) == TOLD


def test_an_empty_folder_is_filled(tmp_path: Path, models: dict[str, Model]) -> None:
    (tmp_path / "out").mkdir()
    export_model(models["volume"], tmp_path / "out", format="monai-bundle")
    assert (tmp_path / "out" / "models" / "model.pt").is_file()


@pytest.mark.parametrize(
    ("format", "name", "said"),
    [
        ("onnx", "model.pt", "expected a file that ends in .onnx"),
        ("onnx", "there.onnx", "expected a new file, found something at"),
        ("onnx", "folder.onnx", "expected a new file, found something at"),
        ("onnx", "there.txt/model.onnx", "found an obstacle"),
        ("monai-bundle", "model.onnx", "expected the name of a folder for a MONAI bundle"),
        ("monai-bundle", "full", "expected a new or empty folder"),
        ("monai-bundle", "there.txt", "expected a new or empty folder"),
        ("monai-bundle", "there.txt/bundle", "found an obstacle"),
    ],
)
def test_a_place_that_will_not_do_is_one_clear_sentence_and_stays_as_it_is(
    tmp_path: Path, ultralight: Command, models: dict[str, Model], format: str, name: str, said: str
) -> None:
    for path in ("there.onnx", "there.txt", "full/mine.txt", "folder.onnx/mine.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("mine")
    before = everything_in(tmp_path)
    done = ultralight("export-model", models["volume"].folder, "-o", tmp_path / name, "--format", format)
    assert said in sentence(done)
    assert everything_in(tmp_path) == before
    assert (tmp_path / "there.onnx").read_text() == "mine"


def test_an_unknown_model_is_one_clear_sentence(tmp_path: Path, ultralight: Command) -> None:
    assert "expected a model folder or an installed model" in sentence(
        ultralight("export-model", "liver", "-o", tmp_path / "out", "--format", "monai-bundle")
    )
    assert everything_in(tmp_path) == []


def test_an_unknown_format_is_said(tmp_path: Path, models: dict[str, Model]) -> None:
    with pytest.raises(InputError, match="expected a format monai-bundle or onnx, found 'coreml'"):
        export_model(models["volume"], tmp_path / "out", format="coreml")


@pytest.mark.parametrize(("format", "needed"), exports.NEEDED.items())
def test_a_missing_package_is_one_clear_sentence(
    tmp_path: Path, ultralight: Command, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch, format: str, needed: tuple[str, ...]
) -> None:
    monkeypatch.setattr(exports, "find_spec", lambda name: None)
    said = sentence(ultralight("export-model", models["volume"].folder, "-o", tmp_path / "out.onnx", "--format", format))
    assert f"found no {', '.join(needed)}; pip install 'napari-ultralight[export]'" in said
    assert everything_in(tmp_path) == []


def test_damaged_weights_leave_nothing_behind(tmp_path: Path) -> None:
    model = volume_model(tmp_path / "model")
    (model.folder / "models" / "model.safetensors").write_bytes(b"damaged")
    for format, name in (("onnx", "out.onnx"), ("monai-bundle", "out")):
        with pytest.raises(ModelError, match="expected weights with sha256"):
            export_model(model.folder, tmp_path / name, format=format)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, models: dict[str, Model]) -> None:
    with full_disk(), pytest.raises(OutputError, match="found an obstacle: .*; free space there or choose another folder"):
        export_model(models["volume"], tmp_path / "out", format="monai-bundle")
    assert everything_in(tmp_path) == []
