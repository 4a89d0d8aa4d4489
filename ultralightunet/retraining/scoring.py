"""How well labels agree with a correction, and two models with each other, as a user of the models would find it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..events import finish
from ..inference.session import Request, Session
from ..metrics import dice
from ..models import Model
from ..volume import Volume
from .prepared import UNKNOWN, Array


class Labeller:
    """Labels images with one model through the product's own path, and remembers nothing but the warm engine."""

    def __init__(self, model: Model, *, threads: int | None = None) -> None:
        self.model = model
        self._session = Session()
        self._threads = threads

    def __call__(self, image: Volume) -> Array:
        """Labels on the image's own grid."""
        return finish(self._session.segment(image, Request(self.model, threads=self._threads))).labels


def scores_against(target: Array, predictions: Sequence[Array]) -> list[float]:
    """Mean Dice of several label images with one correction, over the same classes for all of them.

    Args:
        target: as `Prepared.target`, on the image's grid; what is unknown does not count.
        predictions: labels on the same grid.

    Returns:
        For each the mean over the classes that are in the correction or in any of them; 1 where there are none.
    """
    counted = target != UNKNOWN
    present = set(np.unique(target[counted])) | {int(n) for found in predictions for n in np.unique(found[counted])}
    totals: list[list[float]] = [[] for _ in predictions]
    for k in sorted(int(n) for n in present if n > 0):
        # Background from before class k existed may be of class k.
        known = counted & ((target >= 0) | (target < -k))
        truth = (target == k) & known
        masks = [(found == k) & known for found in predictions]
        if truth.any() or any(mask.any() for mask in masks):
            for total, mask in zip(totals, masks, strict=True):
                total.append(dice(mask, truth))
    return [float(np.mean(total)) if total else 1.0 for total in totals]


def agreement(parent: Array, candidate: Array, classes: int) -> float:
    """Mean Dice between the labels of two models, over the parent's `classes` (with background) that occur in either; 1 if none does."""
    found = [(parent == k, candidate == k) for k in range(1, classes)]
    values = [dice(a, b) for a, b in found if a.any() or b.any()]
    return float(np.mean(values)) if values else 1.0
