"""Small model folders with random weights, made without torch, and one whose network can be computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.models import LabelClass, Model, write_model

COLORS = ((0, 0, 0), (220, 60, 60), (60, 200, 80), (70, 90, 230))


def random_weights(architecture: Architecture, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights that let a signal through to the logits: kernels scaled by their fan-in, norms near the identity."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in architecture.parameter_shapes().items():
        if len(shape) > 1:
            weights[name] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        elif name.endswith("running_var"):
            weights[name] = rng.uniform(0.5, 2, shape)
        elif name.endswith(".weight"):
            weights[name] = rng.uniform(0.7, 1.3, shape)
        else:
            weights[name] = rng.normal(0, 0.3, shape)
    return weights


def small_model(folder: Path, *, spatial_dims: int = 3, in_channels: int = 1, classes: int = 3, seed: int = 0, **facts: Any) -> Model:
    """A model of width T unless told otherwise; a sigmoid where `classes` is 2."""
    widths = VARIANTS[facts.pop("variant", "T")]
    architecture = Architecture(spatial_dims, in_channels, 1 if classes == 2 else classes, widths, facts.pop("norm", "batch"))
    model = Model(
        folder=folder,
        name=facts.pop("name", "small"),
        version=facts.pop("version", "1.0.0"),
        title="a small model for tests",
        modality="MR",
        architecture=architecture,
        classes=tuple(LabelClass(n, f"part {n}" if n else "background", COLORS[n % 4]) for n in range(classes)),
        window=facts.pop("window", (32,) * spatial_dims),
        licence="CC0-1.0",
        **facts,
    )
    return write_model(folder, model, random_weights(architecture, seed), licence_text="CC0-1.0\n")
