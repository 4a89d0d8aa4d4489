"""Which case is worth doing next: the one that the model doubts most and that is least like those that are done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import ListedCase

_UNKNOWN = 0.5
"""Of a case that no model has labelled: in the middle of those that one has."""

Gains = NDArray[np.float64]


def by_gain(cases: Sequence[ListedCase]) -> list[ListedCase]:
    """All cases, the one with the greatest expected gain first; of equal ones the one that was listed first.

    The gain is the sum of doubt and difference, each from 0 to 1. Doubt is a rank, because a network's confidence tells cases of one model
    apart, no more; difference is a share of the largest one that there is.
    """
    gains = _doubts(cases) + _differences(cases)
    return [cases[n] for n in np.argsort(-gains, kind="stable")]


def _doubts(cases: Sequence[ListedCase]) -> Gains:
    """1 for what was flagged or where a model found nothing, else by the confidence, among the cases of the same model."""
    found = np.full(len(cases), _UNKNOWN)
    by_model: dict[str, list[int]] = {}
    for n, case in enumerate(cases):
        if case.doubts or (case.labels and case.confidence is None):
            found[n] = 1.0
        elif case.labels:
            by_model.setdefault(case.model, []).append(n)
    for of_model in by_model.values():
        found[of_model] = _ranks(np.array([1 - (cases[n].confidence or 0.0) for n in of_model]))
    return found


def _differences(cases: Sequence[ListedCase]) -> Gains:
    """How far the volumes of a case are from those of the nearest one that is done or in work: 1 for the farthest, 0 while none is."""
    labelled = [n for n, case in enumerate(cases) if case.volumes]
    done = [place for place, n in enumerate(labelled) if cases[n].readings]
    if not done:
        return np.zeros(len(cases))
    classes = sorted({label for n in labelled for label in cases[n].volumes})
    # Volumes differ by factors; a class that varies more does not count for more.
    table = np.log1p([[cases[n].volumes.get(label, 0.0) for label in classes] for n in labelled])
    table /= np.maximum(table.std(0), 1e-6)
    # Imported where it is needed: a fifth of a second that no other command is to wait for.
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(table[done]).query(table)
    found = np.full(len(cases), _UNKNOWN)
    found[labelled] = distances / max(distances.max(), 1e-6)
    return found


def _ranks(values: NDArray[Any]) -> Gains:
    """From 0 for the smallest to 1 for the largest; equal values have equal ranks."""
    ordered = np.sort(values)
    return np.asarray(np.searchsorted(ordered, values, side="left") / max(1, len(values) - 1))
