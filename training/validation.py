"""Scores of a network in training and of a finished model, both through the product's own path, and how sure they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from export import averaged_weights
from torch import nn

import ultralightunet as ulu
from ultralightunet.events import finish
from ultralightunet.inference.session import Request, label_with
from ultralightunet.models import Model, write_model
from ultralightunet.retraining.fitting import NetworkEngine

Label = Callable[[ulu.Volume], np.ndarray]
"""An image in, its labels on its own grid out."""


def network_labels(network: nn.Module, model: Model) -> Label:
    """Labels as `model` would give them if it had the weights of `network`."""
    engine = NetworkEngine(network)
    return lambda image: finish(label_with(engine, image, Request(model))).labels


def model_labels(model: Model) -> Label:
    """Labels as a user of `model` gets them."""
    session = ulu.Session()
    return lambda image: finish(session.segment(image, Request(model))).labels


def bootstrap_interval(values: np.ndarray, *, resamplings: int = 2000) -> list[float]:
    """Where the mean of `values` lies in 95 % of the resamplings: [low, high]."""
    rng = np.random.default_rng(0)
    means = [rng.choice(values, len(values)).mean() for _ in range(resamplings)]
    return [round(float(bound), 4) for bound in np.percentile(means, (2.5, 97.5))]


def measured_checkpoint(checkpoint: Path, model: Model, measure: Callable[[Model], Mapping[str, Any]]) -> dict[str, Any]:
    """The scores of a checkpoint as a model of half precision, without keeping the model."""
    with tempfile.TemporaryDirectory() as folder:
        return dict(measure(write_model(Path(folder) / "model", model, averaged_weights(checkpoint), licence_text="")))
