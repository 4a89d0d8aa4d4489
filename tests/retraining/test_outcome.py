"""Which version wins, and what that is decided by."""

from __future__ import annotations

from pathlib import Path

import pytest

from ultralightunet.retraining import Comparison, Drift, decide


def comparison(parent: float, candidate: float, cases: int = 5) -> Comparison:
    return Comparison(cases, parent, candidate)


KNEW = comparison(0.900, 0.890)
FORGOT = comparison(0.900, 0.889)


@pytest.mark.parametrize(
    ("holdout", "exemplars", "expected"),
    [
        (comparison(0.800, 0.850), KNEW, "promoted"),
        (comparison(0.800, 0.795), KNEW, "promoted"),
        (comparison(0.800, 0.794), KNEW, "kept"),
        (comparison(0.800, 0.900), FORGOT, "kept"),
        (comparison(0.800, 0.900), None, "promoted"),
        (comparison(0.800, 0.794), None, "kept"),
        (comparison(0.800, 0.900, cases=1), KNEW, "ask"),
        (comparison(0.800, 0.500, cases=1), KNEW, "ask"),
        (None, KNEW, "ask"),
        (None, FORGOT, "kept"),
        (None, None, "ask"),
    ],
)
def test_only_what_is_no_worse_by_labels_takes_the_parents_place(
    holdout: Comparison | None, exemplars: Comparison | None, expected: str
) -> None:
    decision, sentence = decide(holdout, None, exemplars, None)
    assert decision == expected
    for found in (holdout, exemplars):
        assert found is None or f"{found.parent:.3f} before, {found.candidate:.3f} now" in sentence
    assert sentence.endswith("?") == (expected == "ask")


@pytest.mark.parametrize(
    ("estimate", "exemplars", "expected"),
    [
        (comparison(0.700, 0.800), KNEW, "promoted"),
        (comparison(0.700, 0.694), KNEW, "kept"),
        (comparison(0.700, 0.800), FORGOT, "kept"),
        (comparison(0.700, 0.800), None, "ask"),
        (comparison(0.700, 0.800, cases=3), KNEW, "ask"),
    ],
)
def test_an_estimate_stands_in_for_held_out_cases_only_beside_images_that_show_what_is_forgotten(
    estimate: Comparison, exemplars: Comparison | None, expected: str
) -> None:
    assert decide(None, estimate, exemplars, None)[0] == expected


@pytest.mark.parametrize("agreement", [1.0, 0.5])
def test_agreement_with_the_parent_is_reported_and_decides_nothing(agreement: float) -> None:
    decision, sentence = decide(comparison(0.800, 0.850), None, KNEW, Drift(3, agreement))
    assert decision == "promoted"
    assert f"{agreement:.3f}" in sentence


def test_an_estimate_is_called_one() -> None:
    sentence = decide(None, comparison(0.7, 0.8), None, None)[1]
    assert "Estimate by cross-validation on 5 corrected cases: Dice 0.700 before, 0.800 now" in sentence
    assert "Too few cases to decide: no case is held out" in sentence
    assert "One corrected case alone allows no estimate" in decide(None, None, None, None)[1]


def test_nothing_of_a_retraining_needs_torch_to_be_imported(root: Path) -> None:
    import subprocess
    import sys

    code = "import sys, ultralightunet.retraining, ultralightunet.new_task, ultralightunet.child; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert "torch" not in found.stdout.split()
