"""Scans of noise, and corrections of them in a store."""

from __future__ import annotations

from typing import Any

import numpy as np

from ultralightunet import LabelClass, Segmentation, Volume
from ultralightunet.corrections import Store
from ultralightunet.corrections.files import image_hash

TWO = (LabelClass(0, "background", (0, 0, 0)), LabelClass(1, "part 1", (220, 60, 60)))

THREE = (*TWO, LabelClass(2, "part 2", (60, 200, 80)))


def scan(seed: int = 0, shape: tuple[int, ...] = (20, 24, 28), **facts: Any) -> Volume:
    rng = np.random.default_rng(seed)
    return Volume(rng.integers(0, 200, shape).astype(np.int16), facts.pop("affine", np.diag([1.0, 1.1, 1.2, 1.0])), **facts)


def saved(
    store: Store, seed: int, *, classes: tuple[LabelClass, ...] = THREE, seen: bool = True, shape: Any = (20, 24, 28), **options: Any
):
    image = scan(seed, shape)
    drawn = np.random.default_rng(seed).integers(0, len(classes), image.shape).astype(np.uint8)
    sha256 = image_hash(image.array, image.affine, channels=1, has_spacing=True)
    labels = Segmentation(drawn, image.affine, classes)
    return store.add(image, labels, None, seen_in_training=(sha256,) if seen else (), **options)
