"""What came of a retraining, and the rule by which a new version takes the old one's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..models import Model

Decision = Literal["promoted", "kept", "ask"]

TOLERATED_LOSS = 0.005
"""By how much the Dice on held-out cases may be below the parent's: half a point."""

TOLERATED_FORGETTING = 0.01
"""By how much the Dice on the exemplars may be below the parent's: one point."""

FEWEST_HELD_OUT = 2
"""With fewer held-out cases than these nothing is decided by them."""

FEWEST_ESTIMATED = 4
"""With fewer cases than these nothing is decided by an estimate."""


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
    """How far a candidate is from its parent where nobody corrected anything; the parent's labels are no truth, so it decides nothing.

    Attributes:
        images: how many, none of which is among the corrections or was trained on.
        agreement: mean Dice between the labels of both, 1 if they are the same.

    Example:
        >>> from ultralightunet.retraining import Drift
        >>> f"{1 - Drift(images=3, agreement=0.99).agreement:.2f}"
        '0.01'
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
        exemplars: on the labelled images that the model brings along, None where it brings none.
        drift: None where there was no image to measure it on.
        cases: names of the corrections that it was trained on.
        seconds: from beginning to end.

    Example:
        >>> from ultralightunet import load_model
        >>> from ultralightunet.retraining import Comparison, Drift, Outcome, decide
        >>> holdout, exemplars, drift = Comparison(4, parent=0.90, candidate=0.93), Comparison(5, 0.92, 0.90), Drift(3, agreement=0.99)
        >>> decision, sentence = decide(holdout, None, exemplars, drift)
        >>> outcome = Outcome(load_model("brain"), "brain@0.1.0", decision, sentence, holdout, None, exemplars, drift, ("a1/0001",), 150.0)
        >>> outcome.decision, outcome.parent
        ('kept', 'brain@0.1.0')
    """

    model: Model
    parent: str
    decision: Decision
    sentence: str
    holdout: Comparison | None
    estimate: Comparison | None
    exemplars: Comparison | None
    drift: Drift | None
    cases: tuple[str, ...]
    seconds: float


def decide(
    holdout: Comparison | None, estimate: Comparison | None, exemplars: Comparison | None, drift: Drift | None
) -> tuple[Decision, str]:
    """Whether a candidate takes its parent's place, and a sentence on why.

    Truth decides: the corrections that are held out and the exemplars. Where too few are held out, the estimate stands in for them if there
    are exemplars as well, which show whether anything was forgotten.

    Example:
        >>> from ultralightunet.retraining import Comparison, Drift, decide
        >>> held_out, exemplars = Comparison(4, parent=0.90, candidate=0.93), Comparison(5, 0.92, 0.915)
        >>> decision, sentence = decide(held_out, None, exemplars, Drift(3, agreement=0.95))
        >>> decision
        'promoted'
        >>> sentence
        'The new version is in use. Dice on 4 held-out cases: 0.900 before, 0.930 now. ...'
    """
    figures = _figures(holdout, estimate, exemplars, drift)
    held_out = holdout if holdout is not None and holdout.cases >= FEWEST_HELD_OUT else None
    if held_out and _lower(held_out.candidate, held_out.parent - TOLERATED_LOSS):
        return "kept", f"The version before stays in use, because the new one is worse on the held-out cases. {figures}"
    if exemplars and _lower(exemplars.candidate, exemplars.parent - TOLERATED_FORGETTING):
        return "kept", f"The version before stays in use, because the new one is worse on labelled images that it knew. {figures}"
    if held_out:
        return "promoted", f"The new version is in use. {figures}"
    if exemplars and estimate and estimate.cases >= FEWEST_ESTIMATED:
        if _lower(estimate.candidate, estimate.parent - TOLERATED_LOSS):
            return "kept", f"The version before stays in use, because the new one is worse by the estimate. {figures}"
        return "promoted", f"The new version is in use. {figures}"
    few = "no case is" if holdout is None else "only 1 case is"
    return "ask", f"Too few cases to decide: {few} held out, at least {FEWEST_HELD_OUT} are needed. {figures} Use the new version?"


def _lower(value: float, bound: float) -> bool:
    # Rounding must not decide at the bound itself.
    return value < bound - 1e-9


def _figures(holdout: Comparison | None, estimate: Comparison | None, exemplars: Comparison | None, drift: Drift | None) -> str:
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
    if exemplars is not None:
        parts.append(
            f"Dice on {_several(exemplars.cases, 'labelled image')} that it knew: {exemplars.parent:.3f} before, "
            f"{exemplars.candidate:.3f} now."
        )
    else:
        parts.append("The model brings no labelled images along to show what was forgotten.")
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
