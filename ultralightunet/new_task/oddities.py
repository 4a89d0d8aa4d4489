"""What is odd about the labels of a dataset: none at all, a class that one case has, two labels of one image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from ..errors import InputError
from ..events import Note
from ..retraining.prepared import UNKNOWN, Array
from ..volume import Volume
from .dataset import Dataset

_NAMED = 3
"""Cases that a sentence names; the others are counted."""


class Oddities:
    """Looks at one case after the other."""

    def __init__(self, dataset: Dataset) -> None:
        self._classes = dataset.classes
        self._empty: list[str] = []
        self._having: dict[int, list[str]] = {entry.index: [] for entry in dataset.classes[1:]}
        self._images: dict[bytes, tuple[str, bytes]] = {}
        self._twice: list[str] = []

    def look(self, name: str, image: Volume, target: Array) -> None:
        """Look at a case.

        Raises:
            InputError: if its image was there already, with other labels.
        """
        present = [int(k) for k in np.unique(target) if k > 0 and k != UNKNOWN]
        if not present:
            self._empty.append(name)
        for k in present:
            self._having[k].append(name)
        own, labels = (hashlib.blake2b(array.tobytes()).digest() for array in (image.array, target))
        before, said = self._images.setdefault(own, (name, labels))
        if said != labels:
            raise InputError(f"expected one label image for each image, found {before} and {name} to be the same image with two; keep one")
        if before != name:
            self._twice.append(name)

    def notes(self, *, all_seen: bool) -> Iterator[Note]:
        """Sentences on what was odd; what occurs nowhere is told only where `all_seen`."""
        if self._empty:
            yield Note(
                f"Nothing is labelled in {_listed(self._empty)}: it is learned that there is nothing; take away what was not looked at."
            )
        if self._twice:
            yield Note(f"The image of {_listed(self._twice)} is in the dataset twice, with the same labels; one is enough.")
        for entry in self._classes[1:]:
            having = self._having[entry.index]
            if all_seen and not having:
                yield Note(f"No case shows {entry.name}: it will not be found in any image; label it, or leave the class out.")
            elif all_seen and len(having) == 1 and len(self._images) > 1:
                yield Note(f"Only {having[0]} shows {entry.name}: whether it is found in another cannot be told; label further ones.")


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
