"""Models and what is exported of them, once for all tests of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model_exports.inputs import everything_in, picture_model, volume_model
from tests.small_models import small_model
from ultralightunet.cli import main
from ultralightunet.model_exports import export_model
from ultralightunet.models import Intensity, Model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("models")
    window = Intensity("window", -100, 300, (40.0,), (80.0,))
    return {
        "volume": volume_model(folder / "volume", whole=1.0),
        "windows": volume_model(folder / "windows"),
        "ct": small_model(folder / "ct", name="ct", intensity=window, seed=3),
        "picture": picture_model(folder / "picture", mirrored=(1,)),
    }


@pytest.fixture(scope="module")
def bundles(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {name: export_model(model, folder / name, format="monai-bundle") for name, model in models.items()}


@pytest.fixture(scope="module")
def onnx_files(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the command; converting takes PyTorch most of a minute, so it is done once for each of two models."""
    folder = tmp_path_factory.mktemp("onnx") / "new"
    files = {name: folder / f"{name}.onnx" for name in ("volume", "picture")}
    for name, path in files.items():
        assert main(["export-model", str(models[name].folder), "-o", str(path), "--format", "onnx"]) == 0
    assert everything_in(folder) == ["picture.onnx", "volume.onnx"], "nothing is left beside them"
    return files
