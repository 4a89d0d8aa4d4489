"""The first model of a new task, from a folder of labelled images.

Importing this imports no torch; the training does.
"""

from __future__ import annotations

from .choosing import chosen_model, grades
from .dataset import Dataset, LabelledImage, read_dataset
from .fingerprint import Fingerprint, fingerprint_of
from .run import train, training
from .wishes import Wishes

__all__ = [
    "Dataset",
    "Fingerprint",
    "LabelledImage",
    "Wishes",
    "chosen_model",
    "fingerprint_of",
    "grades",
    "read_dataset",
    "train",
    "training",
]
