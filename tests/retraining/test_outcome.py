"""Which version wins, and what that is decided by."""

from __future__ import annotations

from pathlib import Path

import pytest

from ultralightunet.retraining import Comparison, Drift, decide


def comparison(parent: float, candidate: float, cases: int = 5) -> Comparison:
    return Comparison(cases, parent, candidate)


@pytest.mark.parametrize(
    ("holdout", "drift", "expected"),
    [
        (comparison(0.800, 0.850), Drift(3, 0.99), "promoted"),
        (comparison(0.800, 0.795), Drift(3, 0.98), "promoted"),
        (comparison(0.800, 0.794), Drift(3, 0.99), "kept"),
        (comparison(0.800, 0.900), Drift(3, 0.979), "kept"),
        (comparison(0.800, 0.900), None, "ask"),
        (comparison(0.800, 0.900, cases=1), Drift(3, 0.99), "ask"),
        (comparison(0.800, 0.500, cases=1), Drift(3, 0.99), "ask"),
        (None, Drift(3, 0.99), "ask"),
        (None, Drift(3, 0.90), "kept"),
        (None, None, "ask"),
    ],
)
def test_only_what_is_better_takes_the_parents_place(holdout: Comparison | None, drift: Drift | None, expected: str) -> None:
    decision, sentence = decide(holdout, None, drift)
    assert decision == expected
    for figures in (holdout and (holdout.parent, holdout.candidate), drift and (drift.agreement,)):
        assert all(f"{value:.3f}" in sentence for value in figures or ())
    assert sentence.endswith("?") == (expected == "ask")


def test_an_estimate_is_called_one() -> None:
    sentence = decide(None, comparison(0.7, 0.8), None)[1]
    assert "Estimate by cross-validation on 5 corrected cases: Dice 0.700 before, 0.800 now" in sentence
    assert "Too few cases to decide: no case is held out" in sentence
    assert "One corrected case alone allows no estimate" in decide(None, None, None)[1]


def test_nothing_of_a_retraining_needs_torch_to_be_imported(root: Path) -> None:
    import subprocess
    import sys

    code = "import sys, ultralightunet.retraining, ultralightunet.new_task, ultralightunet.child; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert "torch" not in found.stdout.split()
