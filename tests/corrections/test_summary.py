"""What a correction changes is told before it is saved."""

from __future__ import annotations

import numpy as np
import pytest

from tests.corrections.cases import CLASSES, SHAPE, labels_on, mended, scan
from ultralightunet import Segmentation
from ultralightunet.corrections import checked_mask, summarize


def test_the_summary_tells_what_changes() -> None:
    image = scan(affine=np.diag((1.0, 2.0, 5.0, 1.0)))
    before = np.zeros(SHAPE, np.uint8)
    before[1:3, 2:4, 2:4] = 1
    after = before.copy()
    after[2] = 0
    after[5, :2, :5] = 2
    summary = summarize(Segmentation(after, image.affine, CLASSES), Segmentation(before, image.affine, CLASSES))
    assert (summary.voxels, summary.voxels_checked, summary.voxels_changed) == (480, 480, 14)
    liver, tumour = summary.classes
    assert (liver.name, liver.voxels_before, liver.voxels_after) == ("liver", 8, 4)
    assert (liver.ml_before, liver.ml_after) == pytest.approx((0.08, 0.04))
    assert (liver.dice, tumour.dice, summary.dice) == pytest.approx((8 / 12, 0.0, 4 / 12))
    assert (tumour.voxels_before, tumour.voxels_after) == (0, 10)


def test_only_what_was_checked_counts_as_changed() -> None:
    image = scan()
    prediction = labels_on(image)
    after = mended(prediction)
    summary = summarize(after, prediction, checked={0: [1, 5]})
    assert summary.voxels_checked == 2 * 8 * 10
    assert summary.voxels_changed == int((after.labels[1] != prediction.labels[1]).sum())
    assert sum(c.voxels_after for c in summary.classes) == int((after.labels > 0).sum())


def test_labels_made_by_hand_have_no_before() -> None:
    summary = summarize(labels_on(scan()), None)
    assert summary.dice is None
    assert summary.voxels_changed == int((labels_on(scan()).labels > 0).sum())
    assert all(change.voxels_before is None and change.dice is None for change in summary.classes)


def test_a_picture_has_no_millilitres() -> None:
    image = scan(shape=(20, 30), affine=np.eye(4))
    assert summarize(labels_on(image), None).classes[0].ml_after is None


def test_slices_and_masks_say_the_same() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[2:4] = True
    mask[:, :, 9] = True
    np.testing.assert_array_equal(checked_mask({0: range(2, 4), 2: [9]}, SHAPE), mask)
    np.testing.assert_array_equal(checked_mask(mask.astype(np.uint8), SHAPE), mask)
    assert checked_mask({1: range(8)}, SHAPE) is None, "everything is checked"
