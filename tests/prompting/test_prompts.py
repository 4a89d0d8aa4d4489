"""What a prompt means in voxels, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ultralightunet.errors import InputError
from ultralightunet.prompting import Box, Lasso, Point, Stroke

SHAPE = (10, 20, 30)


def test_a_point_is_its_nearest_voxel() -> None:
    assert Point((2.4, 3.6, 29)).marks(SHAPE).tolist() == [[2, 4, 29]]


@pytest.mark.parametrize("voxel", [(10, 0, 0), (0, -1, 0), (0, 0, 30), (0, 0), (0, 0, np.nan)])
def test_a_point_outside_the_image_is_refused(voxel: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="expected a point"):
        Point(voxel).marks(SHAPE)


def test_a_stroke_along_a_path_has_no_gaps() -> None:
    voxels = Stroke.along([(0, 0, 0), (0, 4, 9), (0, 4, 2)]).voxels
    assert (np.abs(np.diff(voxels, axis=0)).max(1) == 1).all()
    assert voxels[0].tolist() == [0, 0, 0]
    assert voxels[-1].tolist() == [0, 4, 2]


def test_a_stroke_of_one_place_is_a_voxel() -> None:
    assert Stroke.along([(1, 2)]).voxels.tolist() == [[1, 2]]


def test_a_stroke_over_the_edge_keeps_what_lies_inside() -> None:
    assert Stroke([(0, 19, 5), (0, 20, 5)]).marks(SHAPE).tolist() == [[0, 19, 5]]
    with pytest.raises(InputError, match="expected a stroke inside"):
        Stroke([(0, 20, 5)]).marks(SHAPE)


def test_a_box_is_cut_at_the_edge_of_the_image() -> None:
    assert Box(((2, 4), (-3, 5), (20, 99))).area(SHAPE) == (slice(2, 4), slice(0, 5), slice(20, 30))


@pytest.mark.parametrize("ranges", [((2, 2), (0, 5), (0, 5)), ((10, 12), (0, 5), (0, 5)), ((0, 5), (0, 5)), ((0, 1), (0, 5), (0, np.nan))])
def test_a_box_without_a_voxel_is_refused(ranges: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(InputError, match="expected a box"):
        Box(ranges).area(SHAPE)


def test_a_loop_holds_what_it_goes_round() -> None:
    inside = Lasso([(3, 2, 2), (3, 2, 8), (3, 8, 8), (3, 8, 2)]).marks(SHAPE)
    assert set(inside[:, 0].tolist()) == {3}
    assert [3, 5, 5] in inside.tolist()
    assert [3, 9, 5] not in inside.tolist()


def test_a_loop_through_several_slices_is_refused() -> None:
    with pytest.raises(InputError, match="in one slice"):
        Lasso([(3, 2, 2), (4, 2, 8), (5, 8, 8)]).marks(SHAPE)
    with pytest.raises(InputError, match="at least 3 corners"):
        Lasso([(3, 2, 2), (3, 2, 8)]).marks(SHAPE)
