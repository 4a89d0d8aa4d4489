"""A model goes on learning from corrections, and takes its parent's place only if it is no worse, by labels.

Importing this imports no torch; the training does.
"""

from __future__ import annotations

from .outcome import FEWEST_ESTIMATED, FEWEST_HELD_OUT, TOLERATED_FORGETTING, TOLERATED_LOSS, Comparison, Drift, Outcome, decide
from .run import Retraining, retrain, retraining

__all__ = [
    "FEWEST_ESTIMATED",
    "FEWEST_HELD_OUT",
    "TOLERATED_FORGETTING",
    "TOLERATED_LOSS",
    "Comparison",
    "Drift",
    "Outcome",
    "Retraining",
    "decide",
    "retrain",
    "retraining",
]
