"""What the tools for correcting do to labels: shapes whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ultralightunet.editing import difference, erase, fill_between, fill_holes, keep_largest, remove_small, smooth
from ultralightunet.errors import InputError
from ultralightunet.metrics import dice

SPACING = (3.0, 1.0, 0.5)


def ball(shape: tuple[int, ...], centre: tuple[float, ...], radius: float, spacing: tuple[float, ...] = SPACING) -> np.ndarray:
    """Voxels whose centre lies within `radius` mm."""
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((axis - c) * s) ** 2 for axis, c, s in zip(grid, centre, spacing, strict=True)) <= radius**2


def two_classes() -> np.ndarray:
    labels = np.zeros((20, 48, 64), np.uint8)
    labels[ball(labels.shape, (8, 18, 24), 9)] = 1
    labels[ball(labels.shape, (12, 34, 44), 6)] = 2
    return labels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_left_out_of_a_ball_come_back_along_any_axis(axis: int) -> None:
    whole = np.moveaxis(ball((33, 48, 40), (16, 22, 20), 13, (1, 1, 1)).astype(np.uint8), 0, axis)
    sparse = whole.copy()
    np.moveaxis(sparse, axis, 0)[[n for n in range(33) if n % 4]] = 0
    filled = fill_between(sparse, (1,), axis=axis, spacing=(1, 1, 1))
    drawn = np.flatnonzero(np.moveaxis(sparse, axis, 0).any(axis=(1, 2)))
    inside = slice(drawn[0], drawn[-1] + 1)
    assert dice(np.moveaxis(filled, axis, 0)[inside] == 1, np.moveaxis(whole, axis, 0)[inside] == 1) > 0.97
    assert not np.moveaxis(filled, axis, 0)[: drawn[0]].any()


def test_an_oblique_rod_keeps_its_width_between_two_slices_that_do_not_overlap() -> None:
    labels = np.zeros((9, 40, 60), np.uint8)
    labels[0, 10:18, 8:16] = 1
    labels[8, 10:18, 40:48] = 1
    filled = fill_between(labels, (1,), axis=0, spacing=(1, 1, 1))
    assert [np.count_nonzero(plane) for plane in filled] == pytest.approx([64] * 9, abs=8)
    assert np.mean(np.nonzero(filled[4])[1]) == pytest.approx(27.5, abs=0.5)


def test_filling_draws_over_nothing_and_works_for_several_classes_at_once() -> None:
    labels = np.zeros((7, 20, 30), np.uint8)
    for k in (0, 6):
        labels[k, 4:12, 4:12] = 1
        labels[k, 4:12, 12:24] = 2
    labels[3, 6, 6] = 3
    filled = fill_between(labels, (1, 2), axis=0, spacing=SPACING)
    assert filled[3, 6, 6] == 3
    assert np.array_equal(filled[2], labels[0])
    assert np.array_equal(fill_between(labels, (2,), axis=0, spacing=SPACING) == 1, labels == 1)


def test_a_lesion_drawn_into_an_organ_is_filled_in_there_if_it_may_draw_over_it() -> None:
    labels = np.ones((7, 20, 30), np.uint8)
    labels[[0, 6], 6:12, 8:16] = 2
    labels[3, 0] = 0
    assert np.array_equal(fill_between(labels, (2,), axis=0, spacing=SPACING), labels)
    filled = fill_between(labels, (2,), axis=0, spacing=SPACING, over=True)
    assert (filled[1:6, 6:12, 8:16] == 2).all()
    assert np.count_nonzero(filled == 2) == 7 * 48


def test_filling_between_slices_of_a_picture_is_refused() -> None:
    with pytest.raises(InputError, match="volume"):
        fill_between(np.zeros((4, 4), np.uint8), (1,), axis=0, spacing=(1, 1))


def test_the_largest_island_of_each_class_stays() -> None:
    labels = two_classes()
    speckled = labels.copy()
    speckled[0, 0, :3] = 1
    speckled[19, 40, :2] = 2
    assert np.array_equal(keep_largest(speckled, (1, 2)), labels)
    assert np.array_equal(keep_largest(speckled, (2,)) == 1, speckled == 1)


def test_islands_go_by_their_size_in_cubic_millimetres() -> None:
    labels = np.zeros((6, 10, 20), np.uint8)
    labels[0, 0, :10] = 1  # 10 voxels of 1.5 mm3
    labels[3, 5, :3] = 1
    assert np.count_nonzero(remove_small(labels, (1,), smallest=5, spacing=SPACING)) == 10
    assert np.count_nonzero(remove_small(labels, (1,), smallest=4.4, spacing=SPACING)) == 13
    assert not remove_small(labels, (1,), smallest=15.1, spacing=SPACING).any()


def test_holes_are_filled_but_not_with_another_class_in_them() -> None:
    labels = two_classes()
    centre = (8, 18, 24)
    labels[centre] = 0
    labels[8, 20, 24] = 2
    filled = fill_holes(labels, (1,))
    assert filled[centre] == 1
    assert filled[8, 20, 24] == 2
    assert len(difference(labels, filled)) == 1


def test_a_tunnel_is_a_hole_of_its_slices_only() -> None:
    labels = np.zeros((5, 12, 12), np.uint8)
    labels[:, 2:10, 2:10] = 1
    labels[:, 5:7, 5:7] = 0
    assert np.array_equal(fill_holes(labels, (1,)), labels)
    filled = fill_holes(labels, (1,), axis=0)
    assert (filled[:, 2:10, 2:10] == 1).all()
    assert np.count_nonzero(filled) == 5 * 64
    assert np.array_equal(fill_holes(labels, (1,), axis=1), labels)


def test_smoothing_takes_bumps_off_by_their_size_in_mm() -> None:
    labels = np.zeros((24, 60, 100), np.uint8)
    labels[6:18, 15:45, 25:75] = 1
    bumpy = labels.copy()
    bumpy[5, 29:32, 47:53] = 1  # 3 x 3 x 3 mm on top
    bumpy[11, 12:15, 47:53] = 1  # and on a side
    smoothed = smooth(bumpy, (1,), radius=2.5, spacing=SPACING)
    assert np.count_nonzero(bumpy) - np.count_nonzero(labels) == 36
    assert not smoothed[5].any()
    assert not smoothed[:, 12:14].any()
    assert dice(smoothed, labels) > 0.95


def test_smoothing_leaves_an_axis_of_coarse_slices_alone() -> None:
    labels = np.zeros((5, 40, 40), np.uint8)
    labels[2, 10:30, 10:30] = 1
    smoothed = smooth(labels, (1,), radius=1.0, spacing=(8, 1, 1))
    assert smoothed[2, 12:28, 12:28].all()
    assert not smoothed[[1, 3]].any()


def test_smoothing_one_class_leaves_the_border_of_others_alone() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((16, 40, 60), np.uint8)
    labels[2:14, 4:36, 4:30] = 1
    labels[2:14, 4:36, 40:50] = 2 + (rng.random((12, 32, 10)) > 0.5)
    smoothed = smooth(labels, (1,), radius=1, spacing=(1, 1, 1))
    assert np.array_equal(smoothed == 2, labels == 2)
    assert np.array_equal(smoothed == 3, labels == 3)


def test_erasing_takes_the_classes_that_are_named() -> None:
    labels = two_classes()
    assert np.array_equal(erase(labels, (1,)), np.where(labels == 2, 2, 0))


TOOLS: dict[str, Callable[[np.ndarray, tuple[int, ...]], np.ndarray]] = {
    "keep": keep_largest,
    "small": lambda labels, classes: remove_small(labels, classes, smallest=2, spacing=SPACING[-labels.ndim :]),
    "holes": fill_holes,
    "smooth": lambda labels, classes: smooth(labels, classes, radius=1, spacing=SPACING[-labels.ndim :]),
    "erase": erase,
}


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_a_tool_changes_nothing_in_place_and_keeps_shape_and_type(name: str, kind: Any) -> None:
    for labels in (two_classes().astype(kind), two_classes().astype(kind)[8], two_classes().astype(kind)[::-1, :, ::2]):
        before = labels.copy()
        after = TOOLS[name](labels, (1, 2))
        assert np.array_equal(labels, before)
        assert (after.shape, after.dtype) == (labels.shape, labels.dtype)
        assert not np.shares_memory(after, labels)


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_has_nothing_to_do_where_a_class_is_missing(name: str) -> None:
    labels = two_classes()
    assert np.array_equal(TOOLS[name](labels, (7,)), labels)
    assert np.array_equal(TOOLS[name](np.zeros_like(labels), (1,)), np.zeros_like(labels))


def test_a_difference_leads_from_one_to_the_other_and_back() -> None:
    before, after = two_classes(), erase(two_classes(), (2,))
    edit = difference(before, after)
    assert len(edit) == np.count_nonzero(before == 2)
    changed = before.copy()
    changed[edit.box] = edit.after
    assert np.array_equal(changed, after)
    changed[edit.box] = edit.before
    assert np.array_equal(changed, before)


def test_what_was_painted_meanwhile_is_left_out_of_a_difference() -> None:
    before = two_classes()
    edit = difference(before, erase(before, (1,)))
    painted = before.copy()
    painted[8, 18, 20:24] = 2
    fitting = edit.still_fitting(painted)
    assert len(fitting) == len(edit) - 4
    painted[fitting.box] = fitting.after
    assert (painted[8, 18, 20:24] == 2).all()
    assert np.count_nonzero(painted == 1) == 0
