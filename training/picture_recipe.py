"""What the recipes of the 2D models share: one class in pictures, learned by the published 2D recipe with stronger augmentation.

Published (Rahman et al. 2025, section 4 and released script): AdamW, weight decay 1e-4, learning rate 5e-4 with cosine decay, 200
rounds of all pictures in batches of 8, scales 0.75, 1 and 1.25, gradient clipping at 0.5, border-weighted cross-entropy and IoU. Here each
batch is seen at one scale instead of all three in turn, and the first part of the training at smaller ones, which costs less than half; the
learning rate is twice as high, because there are fewer steps.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export import export
from pictures import Augmentation, Sampler, load, mask_of
from recipe import CHECKPOINT, history, train, trained_steps
from torch import nn
from validation import Label, bootstrap_interval, measured_checkpoint, model_labels, network_labels

from ultralightunet.inference.postprocessing import keep_largest
from ultralightunet.io import read_image, read_labels
from ultralightunet.learning.losses import boundary_weighted_bce_iou
from ultralightunet.learning.training import Plan
from ultralightunet.metrics import dice
from ultralightunet.models import Model
from ultralightunet.networks import UltraLightUNet

BATCH = 8
SCALES = (0.75, 1.0, 1.25)
EARLY_SCALES, EARLY_SHARE = (0.5, 0.625, 0.75), 0.6
"""Of the first part of the steps, and how large that part is; a network that starts from a trained one sees no such small pictures."""

ROUNDS = 200


@dataclass(frozen=True)
class Task:
    """One 2D model to be made.

    Attributes:
        model: its facts.
        channels: of the pictures as they are kept: 1 or 3.
        training: pictures.
        validation: pictures.
        augment: how training pictures are changed.
        early_augment: the same in the first part of the training; None for `augment`.
        licence_file: see `export`.
        metadata: see `export`; the changelog is added.
    """

    model: Model
    channels: int
    training: Sequence[Path]
    validation: Sequence[Path]
    augment: Augmentation
    licence_file: str
    metadata: dict[str, Any]
    early_augment: Augmentation | None = None


def given_split(data: Path) -> tuple[list[Path], list[Path]]:
    """Training and validation pictures as the folders `train` and `val` say."""
    training, validation = (sorted((data / part / "images").glob("*.jpg")) for part in ("train", "val"))
    if not training or not validation:
        raise SystemExit(f"expected pictures in {data}/train/images and {data}/val/images, found {len(training)} and {len(validation)}")
    return training, validation


def steps_of(pictures: int) -> int:
    """Steps in which each of so many pictures is seen `ROUNDS` times."""
    return ROUNDS * pictures // BATCH


def mask_dice(labels: np.ndarray, image: Path) -> float:
    """Dice of the class at the resolution of the picture."""
    return dice(labels == 1, read_labels(mask_of(image)).labels > 0)


def scores(label: Label, images: Sequence[Path]) -> np.ndarray:
    """Dice of each picture: (number of pictures, 2), as it is and with the largest island only."""
    found = []
    for path in images:
        labels = label(read_image(path))
        one = labels.copy()
        keep_largest(one, (1,))
        found.append([mask_dice(labels, path), mask_dice(one, path)])
    return np.array(found)


def measured(model: Model, images: Sequence[Path]) -> dict[str, Any]:
    """Dice as the model's users get it."""
    found = scores(model_labels(model), images)[:, 0]
    return {
        "pictures": len(images),
        "mean": round(float(found.mean()), 4),
        "95 % bootstrap interval": bootstrap_interval(found),
        "median": round(float(np.median(found)), 4),
        "pictures below 0.5": int((found < 0.5).sum()),
    }


def fit_task(options: argparse.Namespace, task: Task) -> None:
    """Train from the last checkpoint in `options.output` to the end."""
    torch.manual_seed(0)
    # Both ways to finish are logged, so that the choice between them is made on validation data.
    unfinished = replace(task.model, keep_largest=())

    def validate(network: nn.Module) -> dict[str, float]:
        every, largest = scores(network_labels(network, unfinished), task.validation).mean(0)
        return {"all islands": float(every), "largest island": float(largest)}

    pictures = [load(path, channels=task.channels) for path in task.training]
    size = "x".join(map(str, task.model.size or ()))
    early_scales = SCALES if options.init else EARLY_SCALES
    scales = ", then ".join(", ".join(map(str, scales)) for scales in dict.fromkeys((early_scales, SCALES)))
    train(
        options,
        network=UltraLightUNet(**task.model.architecture.to_dict()),
        sample=Sampler(
            pictures,
            task.augment,
            task.model,
            batch_size=BATCH,
            scales=SCALES,
            early_scales=early_scales,
            early_batches=round(EARLY_SHARE * options.steps),
            early_augment=task.early_augment,
        ),
        loss=boundary_weighted_bce_iou,
        plan=Plan(steps=options.steps, batch_size=BATCH, learning_rate=1e-3, clip=0.5, every=250),
        validate=validate,
        samples=f"pictures at {scales} times {size}",
    )


def write_scores(options: argparse.Namespace, task: Task, path: Path) -> dict[str, Any]:
    """Measure the checkpoint on the task's validation pictures, and keep the figures without keeping the model."""
    scores = measured_checkpoint(options.output / CHECKPOINT, task.model, lambda model: measured(model, task.validation))
    found = {**scores, "steps": trained_steps(options.output), "size": "x".join(map(str, task.model.size or ()))}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def exported(options: argparse.Namespace, task: Task, *, measure: Callable[[Model], dict[str, Any]]) -> Model:
    """Write the model folder from the checkpoint."""
    return export(
        options.output / CHECKPOINT,
        options.export,
        task.model,
        measure=measure,
        licence_file=task.licence_file,
        metadata={**task.metadata, "changelog": {task.model.version: history(options.output)}},
    )


def finish_with(options: argparse.Namespace, task: Task, *, measure: Callable[[Model], dict[str, Any]]) -> None:
    """Train and export, or one of the two, as the options say."""
    if not options.export_only:
        fit_task(options, task)
    if not options.train_only:
        logging.info("%s", dict(exported(options, task, measure=measure).scores))
