"""What nobody has said is unknown: it neither trains nor counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.retraining.corrected_noise import THREE, TWO, saved
from ultralightunet.corrections import Store
from ultralightunet.retraining.prepared import UNKNOWN
from ultralightunet.retraining.scoring import agreement, scores_against
from ultralightunet.retraining.selection import target_of


def test_unchecked_voxels_are_unknown_and_so_is_background_from_before_a_class(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    part = saved(store, 0, classes=TWO, checked={0: [3, 4]})
    whole = saved(store, 1, classes=THREE)
    target = target_of(part, THREE)
    assert (target[:3] == UNKNOWN).all()
    np.testing.assert_array_equal(np.unique(target[3:5]), [-2, 1])
    np.testing.assert_array_equal(np.unique(target_of(part, TWO)[3:5]), [0, 1])
    np.testing.assert_array_equal(target_of(whole, THREE), whole.labels().labels)


def test_scores_leave_out_what_is_unknown() -> None:
    target = np.array([1, 1, 0, 0, -2, -2, UNKNOWN, UNKNOWN], np.int16)
    right = np.array([1, 1, 0, 0, 2, 0, 1, 2], np.uint8)
    assert scores_against(target, [right]) == [1.0]
    # Class 1 where the old labels say background is wrong; class 2 there may be right.
    assert scores_against(target, [np.array([1, 1, 0, 0, 1, 0, 0, 0], np.uint8)]) == [pytest.approx(4 / 5)]
    one, other = scores_against(target, [right, np.array([1, 1, 2, 0, 0, 0, 0, 0], np.uint8)])
    assert one == 1.0
    assert other == pytest.approx(0.5)


def test_agreement_is_of_the_parents_classes_only() -> None:
    before = np.array([0, 1, 1, 2], np.uint8)
    assert agreement(before, before, 3) == 1.0
    assert agreement(before, np.array([3, 1, 1, 2], np.uint8), 3) == 1.0
    assert agreement(before, np.array([0, 1, 0, 2], np.uint8), 3) == pytest.approx((2 / 3 + 1) / 2)
    assert agreement(np.zeros(4, np.uint8), np.zeros(4, np.uint8), 3) == 1.0
