"""Model folders on the way: the parent in its place, the candidate while it is measured, the new version beside the old ones."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..corrections.locking import only_writer
from ..disk import folder_beside, make_folder
from ..errors import ModelError, OutputError
from ..home import home
from ..models import Model, install_model, list_models, write_model
from ..models.registry import installed_folder, is_installed
from .exemplars import files_of

_OWN_FIELDS = {
    "schema",
    "version",
    "changelog",
    "task",
    "description",
    "copyright",
    "network_data_format",
    "intended_use",
    "eval_metrics",
    "ultralight",
}
"""Of the metadata: what is written anew for each version."""


def installed_parent(model: Model) -> Model:
    """The model where every host finds it, so that one can go back to it: a folder from elsewhere is installed first."""
    return model if is_installed(model) else install_model(model.folder)


@contextmanager
def temporary_model(model: Model, weights: Mapping[str, np.ndarray]) -> Iterator[Model]:
    """A model folder with these weights in half precision, as the product would run it; gone afterwards."""
    with folder_beside(Path(tempfile.gettempdir()), "candidate", private=True) as folder:
        yield write_model(folder / "model", model, weights, licence_text="")


def write_version(
    child: Model, weights: Mapping[str, np.ndarray], *, origin: Mapping[str, Any], scores: Mapping[str, Any], parent: Model
) -> Model:
    """Install a new version beside its parent; it is not current by that.

    Raises:
        OutputError: if it cannot be written; nothing is left of it then.
    """
    licence, files = _licence(parent), files_of(parent)
    kept = {key: value for key, value in parent.metadata.items() if key not in _OWN_FIELDS}
    cases = sum(case["use"] == "train" for case in origin["cases"])
    folder = installed_folder() / parent.name
    try:
        make_folder(folder, within=home())
        with only_writer(folder / ".lock"):
            version = _next_version(parent, folder)
            facts = replace(child, version=version, origin=origin, scores=scores)
            changelog = {**parent.metadata.get("changelog", {}), version: f"retrained from {parent.version} on {cases} corrected case(s)"}
            return write_model(
                folder / version, facts, weights, licence_text=licence, metadata={**kept, "changelog": changelog}, files=files
            )
    except OSError as error:
        raise OutputError(
            f"expected to write the new version to {folder}, found an obstacle: {error.strerror}; free space there and retrain again"
        ) from error


def _next_version(parent: Model, folder: Path) -> str:
    base = re.sub(r"\+r\d+$", "", parent.version)
    taken = {model.version for model in list_models() if model.name == parent.name} | {path.name for path in folder.iterdir()}
    numbers = [int(found[1]) for version in taken if (found := re.fullmatch(re.escape(base) + r"\+r(\d+)", version))]
    return f"{base}+r{max(numbers, default=0) + 1}"


def _licence(parent: Model) -> str:
    try:
        return (parent.folder / "LICENSE").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ModelError(
            f"expected the folder of {parent.id} at {parent.folder}, found that it is gone or lost its LICENSE; install the model again"
        ) from error
