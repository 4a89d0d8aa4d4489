"""From a training's checkpoint to a model folder whose card holds measured figures only."""

from __future__ import annotations

import shutil
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
    """The running average of the weights in a checkpoint of `ultralightunet.training.fit`."""
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
) -> Model:
    """Write the model, measure it as its users will run it, and put the figures into its card.

    Args:
        checkpoint: of `fit`.
        target: the model folder; one that a previous run of the recipe made is replaced, and so is its page in the documentation.
        model: facts of the model.
        measure: returns the scores of the written model.
        licence_file: name of a text in `licences/`.
        metadata: further fields of the card.
    """
    weights = averaged_weights(checkpoint)
    licence = (LICENCES / licence_file).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        unscored = write_model(Path(temporary) / "unscored", model, weights, licence_text=licence, metadata=metadata)
        scores = measure(unscored)
        write_model(Path(temporary) / "scored", replace(model, scores=scores), weights, licence_text=licence, metadata=metadata)
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(Path(temporary) / "scored", target)
    exported = read_model(target)
    write_page(exported)
    return exported
