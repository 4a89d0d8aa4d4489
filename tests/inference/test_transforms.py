"""Geometry and grey values on the way to the network."""

from itertools import permutations, product

import numpy as np
import pytest

from ultralightunet.inference.transforms import Orientation, axis_weights, grid_shape, normalize, resample, scale_limits, with_channels
from ultralightunet.models import Intensity


def world_of(affine: np.ndarray, index_kji: tuple[int, ...]) -> np.ndarray:
    return affine @ np.array([*index_kji[::-1], 1.0])


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_every_orientation_is_found_and_brought_to_foot_back_left_first(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) * signs)[axes, :] * (0.5, 1.0, 3.0)
    orientation = Orientation.of(affine)
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in (4, 5, 6)], indexing="ij"), axis=-1)
    turned = orientation.apply(indices)
    origin = world_of(affine, tuple(turned[0, 0, 0]))
    for axis, patient_axis in enumerate((2, 1, 0)):
        step = [0, 0, 0]
        step[axis] = 1
        difference = world_of(affine, tuple(turned[tuple(step)])) - origin
        assert difference[patient_axis] > 0
        assert np.count_nonzero(np.abs(difference) > 1e-9) == 1
    assert orientation.spacing((3.0, 1.0, 0.5)) == tuple(
        np.linalg.norm(world_of(affine, tuple(turned[s])) - origin) for s in ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    )


def test_an_oblique_grid_takes_the_nearest_axes() -> None:
    angle = np.deg2rad(40)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, -2.0, 3.0])
    assert Orientation.of(affine) == Orientation((0, 1, 2), (False, True, False))


@pytest.mark.parametrize(("count", "wanted"), [(10, 10), (10, 25), (25, 10), (7, 1), (1, 7), (181, 91)])
def test_resampling_keeps_means_and_straight_lines(count: int, wanted: int) -> None:
    weights = axis_weights(count, wanted)
    assert weights.shape == (wanted, count)
    np.testing.assert_allclose(weights @ np.ones(count), 1, rtol=1e-5)
    if min(count, wanted) > 5:
        line = weights @ np.arange(count, dtype=float)
        expected = (np.arange(wanted) + 0.5) * count / wanted - 0.5
        inner = slice(2, -2)
        # Where samples get coarser the widened kernel meets whole samples only: its centre is off by a few hundredths of a sample.
        np.testing.assert_allclose(line[inner], expected[inner], atol=1e-4 if wanted >= count else 0.05)


def test_resampling_an_image_is_the_same_along_every_axis() -> None:
    image = np.random.default_rng(0).normal(size=(9, 14, 11)).astype(np.float32)
    found = resample(image, (5, 20, 11))[0]
    expected = np.einsum("ak,bj,ci,kji->abc", *(axis_weights(n, m).toarray() for n, m in zip((9, 14, 11), (5, 20, 11), strict=True)), image)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_colour_comes_out_channels_first() -> None:
    image = np.random.default_rng(0).integers(0, 255, (8, 6, 3), np.uint8)
    found = resample(image, (8, 6))
    np.testing.assert_array_equal(found, image.transpose(2, 0, 1).astype(np.float32))


def test_the_grid_covers_the_same_extent() -> None:
    assert grid_shape((181, 217, 181), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)) == (90, 108, 90)
    assert grid_shape((25, 256, 256), (6.0, 0.8, 0.8), (2.0, 2.0, 2.0)) == (75, 102, 102)
    assert grid_shape((1, 5, 5), (0.1, 1.0, 1.0), (2.0, 1.0, 1.0)) == (1, 5, 5)


def test_percentile_normalisation_does_not_depend_on_scale_or_offset() -> None:
    image = np.random.default_rng(0).gamma(2, size=(1, 20, 20, 20)).astype(np.float32)
    a = normalize(image.copy(), Intensity())
    b = normalize(image * 1000 - 300, Intensity())
    np.testing.assert_allclose(a, b, atol=1e-3)
    assert abs(a.mean()) < 1e-5
    assert abs(a.std() - 1) < 1e-5


@pytest.mark.parametrize(
    "picture",
    [
        np.array([[0, 255]], np.uint8),
        np.array([[0, 255]], np.int64),
        np.array([[0, 255]], np.uint16),
        np.array([[0, 65535]], np.uint16),
        np.array([[0, 255]], np.float32),
        np.array([[0, 1]], np.float64),
        np.array([[False, True]]),
    ],
    ids=lambda picture: f"{picture.dtype} to {picture.max()}",
)
def test_a_picture_is_scaled_alike_in_whatever_numbers_it_is_kept(picture: np.ndarray) -> None:
    rule = Intensity("scale", 0, 255, (0.5,), (0.25,))
    found = normalize(picture[None].astype(np.float32), rule, scale_limits(picture, rule))
    np.testing.assert_array_equal(found, [[[-2, 2]]])


def test_a_hounsfield_window_clips() -> None:
    rule = Intensity("window", -100, 300, (100.0,), (200.0,))
    np.testing.assert_array_equal(normalize(np.array([[-1000.0, 100.0, 3000.0]], np.float32), rule), [[-1, 0, 1]])


@pytest.mark.parametrize("shape", [(196, 256, 256), (98, 512, 512), (160, 160, 160)])
def test_percentiles_are_taken_from_all_over_the_image(shape: tuple[int, ...]) -> None:
    """A stride that shares a divisor with the rows would see a few columns only."""
    ramp = np.broadcast_to(np.linspace(0, 1, shape[-1], dtype=np.float32), (1, *shape))
    found = normalize(ramp.copy(), Intensity("percentile", 10, 90))
    expected = np.clip(ramp, 0.1, 0.9)
    np.testing.assert_allclose(found[0, 0, 0], ((expected - expected.mean()) / expected.std())[0, 0, 0], atol=0.02)


def test_grey_becomes_colour_and_colour_grey_but_nothing_else_is_guessed() -> None:
    grey = np.ones((4, 5), np.uint8)
    assert with_channels(grey, 1, 3).shape == (4, 5, 3)
    assert with_channels(np.ones((4, 5, 3)), 3, 1).shape == (4, 5)
    assert with_channels(np.ones((4, 5, 2)), 2, 3) is None
