"""A model as a MONAI bundle: the network, its weights, and how MONAI's own transforms come closest to what UltraLight does.

NAME/configs/metadata.json    the model's own, with what MONAI wants to know
NAME/configs/inference.json   `monai_workflow`
NAME/models/model.pt          a state dict
NAME/docs/README.md           `readme`
NAME/LICENSE
"""

from __future__ import annotations

import io
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..models import Model
from ..networks import network_with
from .monai_workflow import inference
from .readme import readme

_NEEDED = ("napari-ultralight", "pytorch-ignite", "scikit-image")
"""What running the bundle takes besides MONAI, PyTorch and NumPy, and a reader of images."""


def write_bundle(model: Model, folder: Path) -> None:
    """Write `folder`, which does not exist.

    Raises:
        ModelError: if the weights cannot be used.
        OSError: if it cannot be written.
    """
    weights = io.BytesIO()
    torch.save(network_with(model.architecture, model.weights()).state_dict(), weights)
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True)
    (folder / "models" / "model.pt").write_bytes(weights.getvalue())
    (folder / "configs" / "metadata.json").write_text(_as_json(metadata(model)), encoding="utf-8")
    (folder / "configs" / "inference.json").write_text(_as_json(inference(model)), encoding="utf-8")
    (folder / "docs" / "README.md").write_text(readme(model), encoding="utf-8")
    licence = model.folder / "LICENSE"
    text = licence.read_bytes() if licence.is_file() else f"Licence of these weights: {model.licence or 'not stated'}\n".encode()
    (folder / "LICENSE").write_bytes(text)


def metadata(model: Model) -> dict[str, Any]:
    """The model's metadata, which follow MONAI's schema already, with the versions at hand and what its outputs are."""
    found = dict(model.metadata)
    formats = json.loads(json.dumps(found["network_data_format"]))
    outputs = formats["outputs"]["pred"]
    outputs.setdefault("modality", "n/a")
    if model.architecture.out_channels == 1:
        # One channel for two classes: MONAI counts channels.
        outputs["channel_def"] = {"0": model.classes[1].name}
    reader = "nibabel" if model.spatial_dims == 3 else "pillow"
    versions = {
        "monai_version": _installed("monai") or found.get("monai_version", "1.5.0"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
    }
    needed = {name: _installed(name) for name in (*_NEEDED, reader)}
    return {
        **found,
        **versions,
        "name": model.name,
        "required_packages_version": {name: number for name, number in needed.items() if number},
        "network_data_format": formats,
    }


def _installed(name: str) -> str:
    """The version without what only names the build, "+cpu" say."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return ""


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=4, allow_nan=False) + "\n"
