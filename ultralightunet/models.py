"""A model is a folder: read, checked, written, listed, installed.

NAME/configs/metadata.json    MONAI's bundle schema, with our own facts under "ultralight"
NAME/models/model.safetensors the only weight file, half precision
NAME/LICENSE
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from .architecture import Architecture
from .errors import ModelError, OutputError
from .home import home
from .model_checks import check_facts

SCHEMA_VERSION = 1
"""Version of the facts under "ultralight" in metadata.json; a folder with a higher one is refused with a word on updating."""

SHIPPED = Path(__file__).parent / "shipped"
METADATA = Path("configs/metadata.json")
WEIGHTS = Path("models/model.safetensors")


@dataclass(frozen=True)
class LabelClass:
    """One class of labels.

    Attributes:
        index: the label value.
        name: e.g. "hippocampus".
        color: red, green, blue, 0..255.
        snomed: SNOMED CT code of the structure, or "".
    """

    index: int
    name: str
    color: tuple[int, int, int] = (128, 128, 128)
    snomed: str = ""


@dataclass(frozen=True)
class Intensity:
    """How grey values become the network's input.

    Attributes:
        rule: "percentile" clips to the percentiles `low` and `high` of the image, then subtracts its mean and divides by its
            standard deviation; "window" clips to the values `low` and `high` (Hounsfield units, say), then subtracts `mean`
            and divides by `std`; "scale" maps the range of the image's integer type (or `low`..`high`) to 0..1, then
            subtracts `mean` and divides by `std`, channel by channel.
        low: see `rule`.
        high: see `rule`.
        mean: one value, or one per channel.
        std: likewise.
    """

    rule: Literal["percentile", "window", "scale"] = "percentile"
    low: float = 0.5
    high: float = 99.5
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Model:
    """A model folder's facts; `weights()` reads its parameters.

    Attributes:
        folder: where it lies.
        name: e.g. "brain".
        version: e.g. "1.0.0".
        title: one line for a person: what it segments.
        modality: e.g. "MR", "US", "endoscopy".
        architecture: of the network.
        classes: background first; their indices are 0, 1, 2, ...
        spacing: voxel size in mm (k, j, i) or (j, i) that images are resampled to, or None.
        size: pixels (j, i) that a whole 2D image is resized to where `spacing` is None, or None.
        window: voxels of one sliding window, (k, j, i) or (j, i), multiples of 32; an image that is no larger is
            seen whole.
        whole: the largest number of voxels (in millions) that is seen whole rather than through windows; normalisation by
            the image's own statistics wants whole images.
        intensity: how grey values are prepared.
        keep_largest: groups of classes of which only the largest connected island is kept.
        licence: of the weights, an SPDX identifier or a short text.
        intended_use: who may use it for what, and what it must not be used for.
        scores: measured figures, e.g. {"Dice, Colin27": 0.95}.
        parent: NAME@VERSION that it was retrained from, or "".
        sha256: of the weight file.
        metadata: the whole metadata.json.
    """

    folder: Path
    name: str
    version: str
    title: str
    modality: str
    architecture: Architecture
    classes: tuple[LabelClass, ...]
    spacing: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    window: tuple[int, ...] = ()
    whole: float = 0.0
    intensity: Intensity = field(default_factory=Intensity)
    keep_largest: tuple[tuple[int, ...], ...] = ()
    licence: str = ""
    intended_use: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    sha256: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return self.architecture.spatial_dims

    @cached_property
    def _weights(self) -> dict[str, NDArray[Any]]:
        return _read_weights(self)

    def weights(self) -> dict[str, NDArray[Any]]:
        """The parameters by name, float16 as stored.

        Raises:
            ModelError: if the file is damaged, is not the one that the metadata describes, or does not fit the architecture.
        """
        return self._weights


def load_model(model: str | Path | Model) -> Model:
    """A shipped or installed model by NAME or NAME@VERSION, or the model in a folder.

    Raises:
        ModelError: if there is none, or its metadata cannot be used.
    """
    if isinstance(model, Model):
        return model
    # A folder that only happens to be called like a model, one of scans say, does not hide the model.
    if os.path.isfile(Path(model) / METADATA):
        return read_model(Path(model))
    name, _, version = str(model).partition("@")
    known = list_models()
    named = [m for m in known if m.name == name]
    if version:
        named = [m for m in named if m.version == version]
    if not named and os.path.isdir(model):
        return read_model(Path(model))
    if not named:
        raise ModelError(
            f"expected a model folder or an installed model ({', '.join(sorted({m.id for m in known})) or 'there is none'}), "
            f"found {str(model)!r}; `ultralight models` lists them"
        )
    return next((m for m in named if m.version == _current_version(name)), named[0])


def list_models() -> list[Model]:
    """Every shipped and installed model that can be read, shipped first; unreadable folders are left out."""
    found = []
    folders = [*sorted(SHIPPED.glob("*")), *sorted(_installed().glob("*/*"))]
    for folder in folders:
        try:
            found.append(read_model(folder))
        except ModelError:
            continue
    return found


def install_model(folder: Path) -> Model:
    """Copy a user's model folder to the user's models, so that every host finds it; the same version twice is the same model.

    Raises:
        ModelError: if the folder holds no usable model, or another one of that name and version is installed.
        OutputError: if it cannot be copied.
    """
    model = read_model(folder)
    model.weights()
    target = _installed() / model.name / model.version
    if target.exists():
        present = read_model(target)
        if present.metadata != model.metadata:
            other = "facts" if present.sha256 == model.sha256 else "weights"
            raise ModelError(
                f"{model.id} is installed already with other {other}; give the new model another version in its configs/metadata.json"
            )
        return present
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".installing-") as beside:
            copy = Path(beside) / "model"
            shutil.copytree(folder, copy, copy_function=shutil.copyfile)
            for path in (copy, *copy.rglob("*")):
                # What comes from a read-only disk could be neither moved into place nor deleted later.
                path.chmod(path.stat().st_mode | stat.S_IWUSR)
            os.replace(copy, target)
    except OSError as error:
        raise OutputError(f"the model could not be copied to {target}: {error}; free space there or set ULTRALIGHT_HOME") from error
    return read_model(target)


def read_model(folder: Path) -> Model:
    """The model in `folder`; its weights are read later.

    Raises:
        ModelError: if the metadata is missing, damaged, too new or contradicts itself.
    """
    path = folder / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"expected a model folder with {METADATA}, found none in {folder}; give the folder that holds it") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"expected JSON in {path}, found a damaged file ({error}); copy the model again") from error
    try:
        return _parsed(folder, metadata)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"expected UltraLight's facts in {path}, found a fault: {_said(error)}; export the model again") from error


def write_model(
    folder: Path,
    model: Model,
    weights: Mapping[str, NDArray[Any]],
    *,
    licence_text: str,
    metadata: Mapping[str, Any] | None = None,
) -> Model:
    """Write a new model folder whole; an existing one is never changed.

    Args:
        folder: must not exist.
        model: its facts; `folder`, `sha256` and `metadata` are filled in here.
        weights: parameters by name, stored in half precision.
        licence_text: goes to LICENSE.
        metadata: further fields of MONAI's bundle schema, e.g. "references" or "data_source".

    Raises:
        ModelError: if the folder exists, the facts contradict themselves, or the weights do not fit the architecture.
        OutputError: if it cannot be written.
    """
    if os.path.lexists(folder):
        raise ModelError(f"expected a new folder, found {folder}; models are never rewritten, choose another name or version")
    _check_shapes(model, weights, "give the weights of that network")
    with np.errstate(over="ignore"):
        halves = {name: np.ascontiguousarray(values, dtype=np.float16) for name, values in weights.items()}
    if not all(np.isfinite(values).all() for values in halves.values()):
        raise ModelError(
            "expected weights that half precision can hold, found infinite or missing values; train with a lower learning rate"
        )
    blob = safetensors.numpy.save(halves)
    facts = _facts(model, hashlib.sha256(blob).hexdigest(), dict(metadata or {}))
    try:
        text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
        _parsed(folder, json.loads(text))
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"expected facts that make a model, found a fault: {_said(error)}; correct it and write again") from error
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
            beside = Path(temporary) / "model"
            for path in (METADATA, WEIGHTS):
                (beside / path).parent.mkdir(parents=True)
            (beside / WEIGHTS).write_bytes(blob)
            (beside / "LICENSE").write_text(licence_text, encoding="utf-8", errors="replace")
            (beside / METADATA).write_text(text, encoding="utf-8")
            os.replace(beside, folder)
    except OSError as error:
        raise OutputError(f"the model could not be written to {folder}: {error}; choose a folder that can be written") from error
    written = read_model(folder)
    written.weights()
    return written


def _installed() -> Path:
    return home() / "models"


def _current_version(name: str) -> str | None:
    try:
        return (_installed() / name / "current").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        # Nobody has chosen one, or the note of it is damaged.
        return None


def _parsed(folder: Path, metadata: dict[str, Any]) -> Model:
    facts = metadata["ultralight"]
    if facts["schema_version"] > SCHEMA_VERSION:
        raise ModelError(f"{folder} was written by a newer version of UltraLight; update UltraLight to use it")
    network = facts["architecture"]
    architecture = Architecture(
        spatial_dims=int(network["spatial_dims"]),
        in_channels=int(network["in_channels"]),
        out_channels=int(network["out_channels"]),
        channels=tuple(int(c) for c in network["channels"]),
        norm=network["norm"],
    )
    classes = tuple(
        LabelClass(int(c["index"]), str(c["name"]), tuple(int(v) for v in c["color"]), str(c.get("snomed", "")))  # type: ignore[arg-type]
        for c in facts["classes"]
    )
    intensity = {**facts["intensity"]}
    intensity.update({key: float(intensity[key]) for key in ("low", "high")})
    intensity.update({key: tuple(float(v) for v in intensity[key]) for key in ("mean", "std")})
    model = Model(
        folder=folder,
        name=str(facts["name"]),
        version=str(metadata["version"]),
        title=str(facts["title"]),
        modality=str(facts["modality"]),
        architecture=architecture,
        classes=classes,
        spacing=tuple(float(v) for v in facts["spacing"]) if facts.get("spacing") else None,
        size=(int(facts["size"][0]), int(facts["size"][1])) if facts.get("size") else None,
        window=tuple(int(v) for v in facts["window"]),
        whole=float(facts.get("whole", 0)),
        intensity=Intensity(**intensity),
        keep_largest=tuple(tuple(int(v) for v in group) for group in facts.get("keep_largest", ())),
        licence=str(facts["licence"]),
        intended_use=str(metadata.get("intended_use", "")),
        scores=dict(metadata.get("eval_metrics", {})),
        parent=str(facts.get("parent", "")),
        sha256=str(facts["sha256"]),
        metadata=metadata,
    )
    check_facts(model)
    return model


def _facts(model: Model, sha256: str, extra: dict[str, Any]) -> dict[str, Any]:
    channels = {str(n): "channel" for n in range(model.architecture.in_channels)}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": model.version,
        "changelog": {model.version: "made by UltraLight"},
        "monai_version": "1.5.0",
        "pytorch_version": "2.8.0",
        "numpy_version": "2.0.0",
        "required_packages_version": {},
        "task": model.title,
        "description": model.title,
        "authors": "UltraLight",
        "copyright": model.licence,
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": model.modality,
                    "num_channels": model.architecture.in_channels,
                    "spatial_shape": list(model.window),
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": model.architecture.out_channels,
                    "spatial_shape": list(model.window),
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {str(c.index): c.name for c in model.classes},
                }
            },
        },
        **extra,
        "intended_use": model.intended_use,
        "eval_metrics": dict(model.scores),
        "ultralight": {
            "schema_version": SCHEMA_VERSION,
            "name": model.name,
            "title": model.title,
            "modality": model.modality,
            "parent": model.parent,
            "architecture": model.architecture.to_dict(),
            "classes": [{"index": c.index, "name": c.name, "color": list(c.color), "snomed": c.snomed} for c in model.classes],
            "spacing": list(model.spacing) if model.spacing else None,
            "size": list(model.size) if model.size else None,
            "window": list(model.window),
            "whole": model.whole,
            "intensity": {
                "rule": model.intensity.rule,
                "low": model.intensity.low,
                "high": model.intensity.high,
                "mean": list(model.intensity.mean),
                "std": list(model.intensity.std),
            },
            "keep_largest": [list(group) for group in model.keep_largest],
            "licence": model.licence,
            "sha256": sha256,
        },
    }


def _read_weights(model: Model) -> dict[str, NDArray[Any]]:
    path = model.folder / WEIGHTS
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ModelError(f"expected the weights of {model.id} at {path}, found none; copy the model folder again") from error
    found = hashlib.sha256(blob).hexdigest()
    if found != model.sha256:
        raise ModelError(
            f"expected weights with sha256 {model.sha256[:12]}..., found {found[:12]}... in {path}; "
            "the file was damaged or exchanged, copy the model folder again"
        )
    try:
        weights = safetensors.numpy.load(blob)
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError) as error:
        raise ModelError(f"expected a safetensors file at {path}, found something else ({error}); copy the model folder again") from error
    _check_shapes(model, weights, "the model folder mixes two models, copy it again")
    if not all(values.dtype.kind == "f" and np.isfinite(values).all() for values in weights.values()):
        raise ModelError(f"expected weights that are finite numbers in {path}, found others; copy or export the model again")
    return dict(weights)


def _check_shapes(model: Model, weights: Mapping[str, NDArray[Any]], advice: str) -> None:
    expected = model.architecture.parameter_shapes()
    found = {name: tuple(values.shape) for name, values in weights.items()}
    if expected == found:
        return
    wrong = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
    raise ModelError(
        f"the weights of {model.id} do not fit its metadata: expected {wrong} with shape {expected.get(wrong, 'absent')}, "
        f"found {found.get(wrong, 'absent')}; {advice}"
    )


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
