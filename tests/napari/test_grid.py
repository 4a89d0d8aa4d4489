from __future__ import annotations

import copy
import pickle
from itertools import permutations, product

import numpy as np
import pytest

from napari_ultralight.layers.grid import KEY, Grid
from tests.io_files import random_affine
from ultralightunet.volume import Source, Volume

SHAPE = (4, 5, 6)


def all_orientations() -> list[np.ndarray]:
    """The 48 ways in which axes can run, with spacing 1, 2, 3 mm along i, j, k."""
    found = []
    for order, signs in product(permutations(range(3)), product((-1, 1), repeat=3)):
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[:, list(order)] * signs * np.array([1.0, 2.0, 3.0])
        found.append(affine)
    return found


@pytest.mark.parametrize("affine", all_orientations())
def test_shown_axes_run_to_inferior_posterior_and_left(affine: np.ndarray) -> None:
    volume = Volume(np.zeros(SHAPE), affine)
    grid = Grid.upright(volume)
    # The R, A and S coordinates of every voxel, shown as images.
    index = np.indices(SHAPE)[::-1].reshape(3, -1)
    patient = (affine[:3, :3] @ index).reshape(3, *SHAPE)
    for shown_axis, patient_axis in enumerate((2, 1, 0)):
        steps = np.diff(grid.to_shown(patient[patient_axis]), axis=shown_axis)
        assert (steps < 0).all()
        assert np.allclose(-steps, grid.shown_spacing[shown_axis])


@pytest.mark.parametrize("affine", all_orientations())
def test_the_first_shown_voxel_lies_where_the_grid_says(affine: np.ndarray) -> None:
    affine[:3, 3] = (10, -20, 30)
    grid = Grid.upright(Volume(np.zeros(SHAPE), affine))
    index = np.stack([*np.indices(SHAPE)[::-1], np.ones(SHAPE)])
    patient = np.einsum("ab,b...->a...", affine, index)
    first = [grid.to_shown(patient[axis])[0, 0, 0] for axis in (2, 1, 0)]
    assert np.allclose(grid.shown_origin, np.negative(first))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_shown_comes_back_voxel_for_voxel(seed: int) -> None:
    random = np.random.default_rng(seed)
    volume = Volume(random.normal(size=SHAPE), random_affine(random))
    grid = Grid.upright(volume)
    assert grid.to_shown(volume.array).shape == grid.shown_shape
    assert np.array_equal(grid.to_native(grid.to_shown(volume.array)), volume.array)
    series = random.normal(size=(3, *SHAPE, 2))
    assert np.array_equal(grid.to_native(grid.to_shown(series, leading=1), leading=1), series)


@pytest.mark.parametrize("affine", all_orientations())
def test_a_box_and_a_slice_mean_the_same_voxels_on_both_grids(affine: np.ndarray) -> None:
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    grid = Grid.upright(Volume(array, affine))
    shown = grid.to_shown(array)
    box = ((1, 3), (0, 2), (2, 4))
    native = grid.native_box(box)
    assert set(array[tuple(slice(*r) for r in native)].ravel()) == set(shown[tuple(slice(*r) for r in box)].ravel())
    axis, index = grid.native_slice(1, 3)
    assert set(np.take(array, index, axis).ravel()) == set(shown[:, 3].ravel())


def test_a_flat_image_is_turned_upright_without_swapping_its_axes() -> None:
    # NIfTI's first row lies at the back of the head: napari would show it at the top.
    grid = Grid.upright(Volume(np.arange(6).reshape(2, 3), np.diag([1.0, 1.0, 1.0, 1.0])))
    assert np.array_equal(grid.to_shown(np.arange(6).reshape(2, 3)), [[5, 4, 3], [2, 1, 0]])
    as_dicom = Grid.upright(Volume(np.zeros((2, 3)), np.diag([-1.0, -1.0, 1.0, 1.0])))
    assert as_dicom.flipped == (False, False)


def test_metadata_survive_copying_and_pickling() -> None:
    random = np.random.default_rng(0)
    volume = Volume(np.zeros(SHAPE), random_affine(random), source=Source(None, "nifti", {"sform_code": 2}))
    grid = Grid.upright(volume)
    metadata = pickle.loads(pickle.dumps(copy.deepcopy({KEY: grid.to_metadata()})))
    found = Grid.from_metadata(metadata, grid.shown_shape)
    assert found is not None
    assert np.array_equal(found.affine, grid.affine)
    assert (found.shape, found.axes, found.flipped, found.source.format, found.source.header) == (
        grid.shape,
        grid.axes,
        grid.flipped,
        "nifti",
        {"sform_code": 2},
    )


def test_metadata_of_a_layer_that_was_cropped_are_not_believed() -> None:
    grid = Grid.upright(Volume(np.zeros(SHAPE)))
    assert Grid.from_metadata({KEY: grid.to_metadata()}, (4, 5, 5)) is None
    assert Grid.from_metadata({}, SHAPE) is None
