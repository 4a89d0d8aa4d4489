"""What came of a retraining, and the rule by which a new version takes the old one's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..models import Model

Decision = Literal["promoted", "kept", "ask"]

TOLERATED_LOSS = 0.005
"""By how much the Dice on held-out cases may be below the parent's: half a point."""

TOLERATED_DRIFT = 0.02
"""By how much the agreement with the parent on other images may be below complete: two points."""

FEWEST_HELD_OUT = 2
"""With fewer held-out cases than these nothing is decided by them."""


@dataclass(frozen=True)
class Comparison:
    """Mean Dice of the same cases with the parent and with the candidate.

    Attributes:
        cases: how many.
        parent: mean over the cases of the mean Dice of the classes.
        candidate: likewise.

    Example:
        >>> from ultralightunet.retraining import Comparison
        >>> found = Comparison(cases=4, parent=0.90, candidate=0.93)
        >>> found.candidate > found.parent
        True
    """

    cases: int
    parent: float
    candidate: float


@dataclass(frozen=True)
class Drift:
    """How far the candidate has moved from its parent where nobody corrected anything. The parent's labels are not truth.

    Attributes:
        images: how many, none of which is among the corrections or was trained on.
        agreement: mean Dice between the labels of both, 1 if they are the same.

    Example:
        >>> from ultralightunet.retraining import TOLERATED_DRIFT, Drift
        >>> Drift(images=3, agreement=0.99).agreement >= 1 - TOLERATED_DRIFT
        True
    """

    images: int
    agreement: float


@dataclass(frozen=True)
class Outcome:
    """A finished retraining.

    Attributes:
        model: the new version, installed beside its parent.
        parent: NAME@VERSION.
        decision: "promoted": the new version is current; "kept": the old one is; "ask": the old one is until a person says otherwise.
        sentence: why, for a person.
        holdout: on held-out cases, None without any.
        estimate: by cross-validation, where there are too few held-out cases.
        drift: None where there was no image to measure it on.
        cases: names of the corrections that it was trained on.
        seconds: from beginning to end.

    Example:
        >>> from ultralightunet import load_model
        >>> from ultralightunet.retraining import Comparison, Drift, Outcome, decide
        >>> holdout, drift = Comparison(4, parent=0.90, candidate=0.93), Drift(3, agreement=0.95)
        >>> decision, sentence = decide(holdout, None, drift)
        >>> outcome = Outcome(load_model("brain"), "brain@0.1.0", decision, sentence, holdout, None, drift, ("a1/0001",), 150.0)
        >>> outcome.decision, outcome.parent
        ('kept', 'brain@0.1.0')
    """

    model: Model
    parent: str
    decision: Decision
    sentence: str
    holdout: Comparison | None
    estimate: Comparison | None
    drift: Drift | None
    cases: tuple[str, ...]
    seconds: float


def decide(holdout: Comparison | None, estimate: Comparison | None, drift: Drift | None) -> tuple[Decision, str]:
    """Whether a candidate takes its parent's place, and a sentence on why.

    Example:
        >>> from ultralightunet.retraining import Comparison, Drift, decide
        >>> decision, sentence = decide(Comparison(4, parent=0.90, candidate=0.93), None, Drift(3, agreement=0.99))
        >>> decision
        'promoted'
        >>> sentence
        'The new version is in use. Dice on 4 held-out cases: 0.900 before, 0.930 now. ...'
    """
    figures = _figures(holdout, estimate, drift)
    if holdout is not None and holdout.cases >= FEWEST_HELD_OUT and _lower(holdout.candidate, holdout.parent - TOLERATED_LOSS):
        return "kept", f"The version before stays in use, because the new one is worse on the held-out cases. {figures}"
    if drift is not None and _lower(drift.agreement, 1 - TOLERATED_DRIFT):
        return "kept", f"The version before stays in use, because the new one labels other images differently. {figures}"
    if holdout is None or holdout.cases < FEWEST_HELD_OUT:
        few = "no case is" if holdout is None else "only 1 case is"
        return "ask", f"Too few cases to decide: {few} held out, at least {FEWEST_HELD_OUT} are needed. {figures} Use the new version?"
    if drift is None:
        return "ask", f"There was no image outside the corrections to compare the two versions on. {figures} Use the new version?"
    return "promoted", f"The new version is in use. {figures}"


def _lower(value: float, bound: float) -> bool:
    # Rounding must not decide at the bound itself.
    return value < bound - 1e-9


def _figures(holdout: Comparison | None, estimate: Comparison | None, drift: Drift | None) -> str:
    parts = []
    if holdout is not None:
        parts.append(f"Dice on {_several(holdout.cases, 'held-out case')}: {holdout.parent:.3f} before, {holdout.candidate:.3f} now.")
    if estimate is not None:
        parts.append(
            f"Estimate by cross-validation on {_several(estimate.cases, 'corrected case')}: Dice {estimate.parent:.3f} before, "
            f"{estimate.candidate:.3f} now."
        )
    elif holdout is None or holdout.cases < FEWEST_HELD_OUT:
        parts.append("One corrected case alone allows no estimate.")
    if drift is not None:
        parts.append(
            f"Agreement with the version before on {_several(drift.images, 'other image')} (drift; its labels are not truth): "
            f"{drift.agreement:.3f}."
        )
    else:
        parts.append("Drift was not measured, for want of other images.")
    return " ".join(parts)


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
