"""Agreement of two label images, against figures known by hand, by brute force, and from MONAI and SimpleITK."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import SimpleITK as sitk
import torch
from scipy.spatial.distance import cdist

from ultralightunet import InputError, Segmentation
from ultralightunet.metrics import Agreement, compare, dice, surface_agreement


def affine_of(spacing: tuple[float, ...]) -> np.ndarray:
    """Axes as the file has them, for a spacing (k, j, i) or (j, i)."""
    return np.diag([*spacing[::-1], 1.0, 1.0][:3] + [1.0])


def labelled(labels: np.ndarray, spacing: tuple[float, ...] | None = None, **options: Any) -> Segmentation:
    return Segmentation(labels.astype(np.uint8), affine_of(spacing or (1.0,) * labels.ndim), **options)


def box(shape: tuple[int, ...], start: tuple[int, ...], size: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(s, s + size) for s in start)] = True
    return mask


def blob(seed: int, shape: tuple[int, ...] = (24, 20, 22), share: float = 0.2) -> np.ndarray:
    """A random mask of a few smooth islands."""
    values = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.5)
    return values > np.quantile(values, 1 - share)


def surface_points(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Centres, in mm, of the voxels with a neighbour outside, found one by one."""
    padded = np.pad(mask, 1)
    points = []
    for index in np.argwhere(padded):
        sides = [tuple(index + step * np.eye(mask.ndim, dtype=int)[axis]) for axis in range(mask.ndim) for step in (-1, 1)]
        if not all(padded[side] for side in sides):
            points.append((index - 1) * spacing)
    return np.array(points)


SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.5, 0.8), (0.7, 5.0, 1.1)]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_cube_that_is_shifted_has_the_figures_that_follow(spacing: tuple[float, ...], axis: int, shift: int) -> None:
    """Of side 8: of each axis 8 - n layers still overlap, and the faces that moved (more than 5 % of the surface) lie n voxels off."""
    start = [4, 4, 4]
    start[axis] += shift
    reference, prediction = (labelled(box((18, 18, 18), tuple(s), 8), spacing) for s in ((4, 4, 4), start))
    (found,) = compare(prediction, reference, tolerance=1e-6)
    assert found.label == 1
    assert found.dice == pytest.approx((8 - shift) / 8)
    assert found.hausdorff95 == pytest.approx(shift * spacing[axis])
    assert found.predicted == found.reference == pytest.approx(512 * math.prod(spacing) / 1000)
    # Of the 296 voxels of a cube's surface, the rims of 28 voxels of the layers that overlap lie on the other one's surface too.
    assert found.surface_dice == pytest.approx(1.0 if shift == 0 else 28 * (8 - shift) / 296)
    (loose,) = compare(prediction, reference, tolerance=shift * spacing[axis] + 1e-6)
    assert loose.surface_dice == 1.0


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", [0, 1])
def test_surfaces_agree_with_a_search_through_all_pairs_of_points(spacing: tuple[float, ...], seed: int) -> None:
    shape = (12, 10, 11)
    a, b = blob(seed, shape, 0.3), blob(seed + 10, shape, 0.2)
    distances = cdist(surface_points(a, spacing), surface_points(b, spacing))
    both = np.concatenate((distances.min(1), distances.min(0)))
    for tolerance in (0.0, 0.9, 2.0):
        distance, surface = surface_agreement(a, b, spacing, tolerance=tolerance)
        assert distance == pytest.approx(np.percentile(both, 95))
        assert surface == pytest.approx((both <= tolerance).mean())


@pytest.mark.parametrize("spacing", SPACINGS)
def test_dice_and_surface_dice_are_those_of_monai_and_simpleitk(spacing: tuple[float, ...]) -> None:
    metrics = pytest.importorskip("monai.metrics")
    a, b = blob(1), blob(2)
    (found,) = compare(labelled(a, spacing), labelled(b, spacing), tolerance=1.5)
    masks = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (a, b)]
    assert found.dice == pytest.approx(metrics.compute_dice(*masks).item(), abs=1e-6)
    surface = metrics.compute_surface_dice(*masks, class_thresholds=[1.5], include_background=True, spacing=spacing).item()
    assert found.surface_dice == pytest.approx(surface, abs=1e-6)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (a, b)))
    assert found.dice == pytest.approx(overlap.GetDiceCoefficient(), abs=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_distance_lies_between_monais_two_directed_ones(spacing: tuple[float, ...]) -> None:
    """MONAI takes the larger percentile of the two directions, we the percentile of both together; where one mask mirrors the other
    both directions have the same distances, and the two definitions meet."""
    metrics = pytest.importorskip("monai.metrics")

    def directed(first: np.ndarray, second: np.ndarray) -> float:
        masks = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (first, second)]
        options = {"percentile": 95, "directed": True, "include_background": True, "spacing": spacing}
        return metrics.compute_hausdorff_distance(*masks, **options).item()

    a, b = blob(3), blob(4)
    distance, _ = surface_agreement(a, b, spacing, tolerance=1.0)
    low, high = sorted((directed(a, b), directed(b, a)))
    assert low - 1e-6 <= distance <= high + 1e-6
    distance, _ = surface_agreement(a, a[::-1], spacing, tolerance=1.0)
    assert distance == pytest.approx(directed(a, a[::-1]), rel=0.01)


def test_pictures_are_measured_in_pixels() -> None:
    a, b = box((20, 30), (5, 5), 10), box((20, 30), (5, 8), 10)
    (found,) = compare(labelled(a, has_spacing=False), labelled(b, has_spacing=False))
    assert (found.dice, found.hausdorff95, found.predicted, found.reference) == (pytest.approx(0.7), pytest.approx(3.0), 100, 100)


def test_an_anisotropic_picture_is_measured_in_mm() -> None:
    a, b = box((20, 30), (5, 5), 10), box((20, 30), (7, 5), 10)
    (found,) = compare(labelled(a, (2.5, 0.5)), labelled(b, (2.5, 0.5)))
    assert found.hausdorff95 == pytest.approx(5.0)
    assert found.predicted == 100


def test_two_empty_masks_agree_and_an_empty_one_agrees_with_nothing() -> None:
    empty, full = np.zeros((5, 6, 7), bool), box((5, 6, 7), (1, 1, 1), 3)
    assert dice(empty, empty) == 1.0
    assert surface_agreement(empty, empty, (1, 1, 1), tolerance=1) == (0.0, 1.0)
    assert compare(labelled(empty), labelled(empty)) == []
    for prediction, reference, volumes in ((empty, full, (0.0, 0.027)), (full, empty, (0.027, 0.0))):
        assert compare(labelled(prediction), labelled(reference)) == [Agreement(1, 0.0, None, 0.0, *map(pytest.approx, volumes))]


def test_every_class_of_either_is_compared_and_background_is_not() -> None:
    a, b = np.zeros((6, 6, 6), np.uint16), np.zeros((6, 6, 6), np.uint16)
    a[0], a[1], b[0], b[2] = 1, 300, 1, 70
    found = compare(Segmentation(a, np.eye(4)), Segmentation(b, np.eye(4)))
    assert [(f.label, f.dice) for f in found] == [(1, 1.0), (70, 0.0), (300, 0.0)]
    assert all(type(f.label) is int for f in found)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (np.s_[0, 0, 0], np.s_[4, 5, 6], math.sqrt(4**2 + 5**2 + 6**2)),
        (np.s_[:], np.s_[:], 0.0),
        (np.s_[0], np.s_[-1], 4.0),
    ],
    ids=["single voxels in opposite corners", "the whole image", "opposite borders"],
)
def test_masks_at_the_border_of_the_image_are_measured_like_others(a: Any, b: Any, distance: float) -> None:
    first, second = np.zeros((5, 6, 7), bool), np.zeros((5, 6, 7), bool)
    first[a], second[b] = True, True
    assert surface_agreement(first, second, (1, 1, 1), tolerance=0.5)[0] == pytest.approx(distance)


def test_an_oblique_grid_has_the_figures_of_a_straight_one() -> None:
    a, b = blob(1), blob(2)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    oblique = np.eye(4)
    oblique[:3, :3] = turn @ np.diag((0.8, 0.5, 3.0))
    oblique[:3, 3] = (120, -90, 33)
    straight = compare(labelled(a, (3.0, 0.5, 0.8)), labelled(b, (3.0, 0.5, 0.8)))
    (found,) = compare(Segmentation(a.astype(np.uint8), oblique), Segmentation(b.astype(np.uint8), oblique))
    for name in ("dice", "hausdorff95", "surface_dice", "predicted", "reference"):
        assert getattr(found, name) == pytest.approx(getattr(straight[0], name))


def test_masks_that_are_compared_stay_as_they_are() -> None:
    a, b = blob(1), blob(2)
    before = a.copy(), b.copy()
    surface_agreement(a, b, (1, 1, 1), tolerance=1)
    np.testing.assert_array_equal((a, b), before)


@pytest.mark.parametrize("shape", [(6, 6, 7), (6, 6), (1, 6, 6)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected two label images on one grid, found shapes"):
        compare(labelled(np.ones((6, 6, 6))), labelled(np.ones(shape)))


def test_the_same_shape_in_another_place_is_refused() -> None:
    ones, straight = np.ones((6, 6, 6), np.uint8), np.diag((0.002, 0.002, 0.002, 1.0))
    shifted, flipped, larger = straight.copy(), straight.copy(), straight * (1.1, 1, 1, 1)
    shifted[0, 3] += 0.002
    flipped[0, 0] *= -1
    for other in (shifted, flipped, larger):
        with pytest.raises(InputError, match="in different places"):
            compare(Segmentation(ones, straight), Segmentation(ones, other))


def test_what_a_header_rounds_is_still_the_same_grid() -> None:
    ones, affine = np.ones((30, 30, 30), np.uint8), np.diag((0.93, 0.93, 2.5, 1.0))
    affine[:3, 3] = (-193.123456, 88.7, 1200.55)
    assert compare(Segmentation(ones, affine), Segmentation(ones, affine.astype(np.float32).round(3)))[0].dice == 1.0
