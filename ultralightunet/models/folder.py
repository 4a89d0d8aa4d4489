"""Reads and writes model folders.

NAME/configs/metadata.json    see `metadata`
NAME/models/model.safetensors the only weight file, half precision
NAME/LICENSE
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from ..disk import folder_beside, make_folder, read_json, read_small, share, sync_files, write_new
from ..errors import ModelError, OutputError, only_our_errors
from .facts import Model
from .metadata import parsed, to_metadata

METADATA = Path("configs/metadata.json")
"""Where a model folder holds its facts."""

WEIGHTS = Path("models/model.safetensors")
"""Where a model folder holds its only weight file."""

LICENCE = Path("LICENSE")


def read_model(folder: Path) -> Model:
    """The model in `folder`; its weights are read later.

    Raises:
        ModelError: if the metadata is missing, damaged, too new or contradicts itself.

    Example:
        >>> from ultralightunet.models import SHIPPED, read_model
        >>> read_model(SHIPPED / "polyp").classes[1].name
        'polyp'
    """
    path = folder / METADATA
    with only_our_errors(path, "a model's facts", kind=ModelError):
        try:
            metadata = read_json(path)
        except OSError as error:
            raise ModelError(f"expected a model folder with {METADATA}, found none in {folder}; give the folder that holds it") from error
        except (ValueError, RecursionError) as error:
            raise ModelError(f"expected JSON in {path}, found a damaged file ({error}); copy the model again") from error
        try:
            return parsed(folder, metadata)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"expected UltraLight's facts in {path}, found a fault: {_said(error)}; export the model again") from error


def write_model(
    folder: Path,
    model: Model,
    weights: Mapping[str, NDArray[Any]],
    *,
    licence_text: str,
    metadata: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Model:
    """Write a new model folder whole; an existing one is never changed.

    Args:
        folder: must not exist.
        model: its facts; `folder`, `sha256` and `metadata` are filled in here.
        weights: parameters by name, stored in half precision.
        licence_text: goes to LICENSE.
        metadata: further fields of MONAI's bundle schema, e.g. "references" or "data_source".
        files: further files, by their paths in the folder.

    Raises:
        ModelError: if the folder exists, the facts contradict themselves, or the weights do not fit the architecture.
        OutputError: if it cannot be written.

    Example:
        >>> from dataclasses import replace
        >>> from pathlib import Path
        >>> from ultralightunet.models import load_model, write_model
        >>> brain = load_model("brain")
        >>> written = write_model(Path("copy"), replace(brain, version="0.1.0+mine"), brain.weights(), licence_text="Apache-2.0")
        >>> written.id, written.sha256 == brain.sha256
        ('brain@0.1.0+mine', True)
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
    facts = to_metadata(model, hashlib.sha256(blob).hexdigest(), dict(metadata or {}))
    try:
        text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
        parsed(folder, json.loads(text))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"expected facts that make a model, found a fault: {_said(error)}; correct it and write again") from error
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder.parent, "writing") as beside:
            share(beside)
            own: dict[Path, bytes] = {WEIGHTS: blob, LICENCE: licence_text.encode("utf-8", "replace"), METADATA: text.encode()}
            for path, content in (*((Path(name), blob) for name, blob in (files or {}).items()), *own.items()):
                target = beside / "model" / path
                make_folder(target.parent, within=beside)
                write_new(target, content)
            sync_files(beside / "model")
            os.replace(beside / "model", folder)
    except OSError as error:
        raise OutputError(f"the model could not be written to {folder}: {error}; choose a folder that can be written") from error
    written = read_model(folder)
    written.weights()
    return written


def read_weights(model: Model) -> dict[str, NDArray[Any]]:
    """See `Model.weights`."""
    path = model.folder / WEIGHTS
    with only_our_errors(path, "the weights of a model", kind=ModelError):
        return _checked_weights(model, path)


def _checked_weights(model: Model, path: Path) -> dict[str, NDArray[Any]]:
    # Double precision would be four times what is written here; the header of safetensors takes a hundred bytes for a tensor.
    shapes = model.architecture.parameter_shapes().values()
    most = 8 * sum(math.prod(shape) for shape in shapes) + 1000 * len(shapes) + 2**20
    try:
        blob = read_small(path, most=most)
    except ValueError as error:
        raise ModelError(f"expected the weights of {model.id} at {path}, found another thing: {error}; copy the model again") from error
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
