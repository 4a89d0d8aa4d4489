"""From a training's checkpoint to a model folder whose card holds measured figures only."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from card import write_page

from ultralightunet.models import Model, read_model, write_model

LICENCES = Path(__file__).parent / "licences"


def averaged_weights(checkpoint: Path) -> dict[str, np.ndarray]:
    """The running average of the weights in a checkpoint of `ultralightunet.learning.training.fit`."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["averaged"]
    weights = {name.removeprefix("module."): value.float().numpy() for name, value in state.items() if name != "n_averaged"}
    return {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}


def export(
    checkpoint: Path,
    target: Path,
    model: Model,
    *,
    measure: Callable[[Model], Mapping[str, Any]],
    licence_file: str,
    metadata: Mapping[str, Any],
    command_options: str = "",
) -> Model:
    """Write the model, measure it as its users will run it, and put the figures into its card.

    Args:
        checkpoint: of `fit`.
        target: the model folder; one that a previous run of the recipe made is replaced, and so is its page in the documentation.
        model: facts of the model.
        measure: returns the scores of the written model.
        licence_file: name of a text in `licences/`.
        metadata: further fields of the card.
        command_options: what the recipe's command takes besides, for the card.
    """
    command = f"python training/{model.name.replace('-', '_')}.py --data DIR --output DIR --export-only {command_options}".strip()
    metadata = {**metadata, "measured_by": command}
    weights = averaged_weights(checkpoint)
    licence = (LICENCES / licence_file).read_text(encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent.parent, prefix=".export-") as temporary:
        unscored = write_model(Path(temporary) / "unscored", model, weights, licence_text=licence, metadata=metadata)
        scores = measure(unscored)
        write_model(Path(temporary) / "scored", replace(model, scores=scores), weights, licence_text=licence, metadata=metadata)
        # On one file system, so that the folder is there whole before and after.
        if target.exists():
            target.rename(Path(temporary) / "before")
        (Path(temporary) / "scored").rename(target)
    exported = read_model(target)
    write_page(exported)
    return exported
