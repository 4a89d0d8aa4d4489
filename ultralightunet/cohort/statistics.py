"""What is unusual in a cohort: a volume or a confidence far from those of most other cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .records import DONE, CaseRecord

OUTLIER = 3.5
"""Robust z-score from which on a case is called an outlier (Iglewicz and Hoaglin 1993)."""

_FEWEST = 8
"""Cases that a spread can be told from."""

_BARS = 30


@dataclass(frozen=True)
class Oddity:
    """In what a case differs most from the others.

    Attributes:
        z: robust z-score, below 0 where it has less than they have.
        what: a class, or "confidence".
    """

    z: float
    what: str


@dataclass(frozen=True)
class Histogram:
    """How a quantity is distributed over a cohort.

    Attributes:
        what: a class, or "confidence".
        unit: "ml", "voxels" or "".
        low: the least value.
        high: the greatest.
        median: of all.
        counts: cases in each of equal ranges from `low` to `high`.
    """

    what: str
    unit: str
    low: float
    high: float
    median: float
    counts: tuple[int, ...]


def oddities(records: Sequence[CaseRecord]) -> dict[str, Oddity]:
    """The greatest oddity of each case that has labels, by its name.

    A robust z-score is the distance from the median in units of the median absolute deviation times 1.4826, which for a normal distribution
    is its standard deviation; where more than half of the cases are equal, the mean absolute deviation times 1.2533 takes its place.

    Args:
        records: of the cohort; with fewer than eight that have labels nothing is odd.
    """
    found: dict[str, Oddity] = {}
    for what, (names, values) in _quantities(records).items():
        if len(values) < _FEWEST:
            continue
        for name, z in zip(names, robust_z(values), strict=True):
            if name not in found or abs(z) > abs(found[name].z):
                found[name] = Oddity(float(z), what)
    return found


def robust_z(values: Sequence[float]) -> list[float]:
    """The robust z-score of each value; 0 for all where all are equal."""
    array = np.asarray(values, np.float64)
    away = array - np.median(array)
    spread = 1.4826 * np.median(np.abs(away)) or 1.2533 * np.abs(away).mean()
    return [float(z) for z in (away / spread if spread else np.zeros_like(away))]


def histograms(records: Sequence[CaseRecord]) -> list[Histogram]:
    """The distribution of each class's volume, and of the confidence."""
    units = {v.name: "voxels" if v.ml is None else "ml" for record in records for v in record.volumes}
    made = []
    for what, (_, values) in _quantities(records).items():
        if len(values) < 2:
            continue
        low, high = min(values), max(values)
        counts, _ = np.histogram(values, bins=_BARS, range=(low, high if high > low else low + 1))
        made.append(Histogram(what, units.get(what, ""), low, high, float(np.median(values)), tuple(int(n) for n in counts)))
    return made


def _quantities(records: Sequence[CaseRecord]) -> dict[str, tuple[list[str], list[float]]]:
    """By what is measured: the cases that have it, and how much."""
    found: dict[str, tuple[list[str], list[float]]] = {}
    for record in records:
        if record.state != DONE:
            continue
        measured = [(v.name, float(v.voxels) if v.ml is None else v.ml) for v in record.volumes]
        if record.confidence is not None:
            measured.append(("confidence", record.confidence))
        for what, value in measured:
            names, values = found.setdefault(what, ([], []))
            names.append(record.case)
            values.append(value)
    return found
