"""Validation while a network learns, for the eyes of whoever waits: nothing is chosen by it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from torch import nn

from ..corrections import Revision
from ..events import finish
from ..inference.session import Request, label_with
from ..models import LabelClass, Model
from .fitting import NetworkEngine
from .scoring import scores_against
from .selection import target_of

_SHARE = 0.1
"""Of the training's time that may be spent on this."""

_MOST_CASES = 3


class Watcher:
    """Called after each step; labels a few cases through the product's path whenever that has become affordable.

    Args:
        model: facts of the network.
        cases: that it does not learn from.
        classes: of the network.
        seconds: of the training.
    """

    def __init__(self, model: Model, cases: Sequence[Revision], classes: Sequence[LabelClass], seconds: float) -> None:
        self._request = Request(model)
        chosen = cases[:_MOST_CASES]
        self._images = [(revision.image(), target_of(revision, classes)) for revision in chosen]
        self._spent = 0.0
        self._began = time.perf_counter()
        self._seconds = seconds

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """The mean Dice, or nothing."""
        passed = time.perf_counter() - self._began
        # The first comes early, so that the curve begins where the training does.
        if self._spent > _SHARE * passed and self._spent > 0:
            return {}
        began = time.perf_counter()
        engine = NetworkEngine(network)
        found = [scores_against(target, [finish(label_with(engine, image, self._request)).labels])[0] for image, target in self._images]
        self._spent += time.perf_counter() - began
        return {"validation Dice": float(np.mean(found))}
