"""Scans, predictions of them, and corrections of those."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.io_files import random_affine
from ultralightunet import LabelClass, Segmentation, Volume
from ultralightunet.corrections import Store

SHAPE = (6, 8, 10)

CLASSES = (
    LabelClass(0, "background", (0, 0, 0)),
    LabelClass(1, "liver", (200, 80, 60), "10200004"),
    LabelClass(2, "tumour", (90, 200, 60)),
)

THREE = (*CLASSES, LabelClass(3, "vessel", (60, 60, 220)))


def scan(seed: int = 0, shape: tuple[int, ...] = SHAPE, *, dtype: Any = np.int16, **facts: Any) -> Volume:
    random = np.random.default_rng(seed)
    array = random.integers(0, 200, shape).astype(dtype) if np.dtype(dtype).kind in "iu" else random.normal(0, 50, shape).astype(dtype)
    return Volume(array, facts.pop("affine", random_affine(random)), **facts)


def labels_on(image: Volume, *, seed: int = 0, classes: tuple[LabelClass, ...] = CLASSES, model: str = "") -> Segmentation:
    drawn = np.random.default_rng(seed).integers(0, len(classes), image.shape).astype(np.uint8)
    return Segmentation(drawn, image.affine, classes, image.has_spacing, image.source, model)


def mended(prediction: Segmentation, *, label: int = 1) -> Segmentation:
    """With a block of another label."""
    labels = prediction.labels.copy()
    labels[: labels.shape[0] // 2] = label
    return replace(prediction, labels=labels, model="")


def save(store: Store, seed: int = 0, **options: Any) -> Any:
    image = scan(seed)
    prediction = labels_on(image, seed=seed, model="abdomen@1.0.0")
    return store.add(image, mended(prediction), prediction, **options)
