"""A model goes on learning from corrections, and takes its parent's place only if it is better.

Importing this imports no torch; the training does.
"""

from __future__ import annotations

from .outcome import FEWEST_HELD_OUT, TOLERATED_DRIFT, TOLERATED_LOSS, Comparison, Drift, Outcome, decide
from .run import Retraining, retrain, retraining

__all__ = [
    "FEWEST_HELD_OUT",
    "TOLERATED_DRIFT",
    "TOLERATED_LOSS",
    "Comparison",
    "Drift",
    "Outcome",
    "Retraining",
    "decide",
    "retrain",
    "retraining",
]
