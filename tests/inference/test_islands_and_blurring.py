"""Islands and Gaussians that are found quickly are those that SciPy finds slowly."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from ultralightunet.inference.blurring import blurred
from ultralightunet.inference.islands import islands_of


@pytest.mark.parametrize("shape", [(9, 14, 11), (1, 1, 5), (7, 1, 1), (13, 17), (1, 6)])
@pytest.mark.parametrize("share", [0.0, 0.15, 0.35, 0.6, 1.0])
def test_islands_hang_together_through_faces(shape: tuple[int, ...], share: float) -> None:
    mask = np.random.default_rng(3).random(shape) < share
    found = islands_of(mask)
    expected, count = scipy.ndimage.label(mask)
    assert len(found.sizes) == count
    again = np.zeros(shape, int)
    for island in range(count):
        voxels = found.voxels_of(np.arange(count) == island)
        assert len(voxels) == found.sizes[island]
        again.ravel()[voxels] = island + 1
    pairs = set(zip(again.ravel(), expected.ravel(), strict=True))
    assert len(pairs) == len(np.unique(expected))


@pytest.mark.parametrize("shape", [(70, 9, 130), (5, 66), (3, 3, 3)])
def test_a_gaussian_goes_on_beyond_the_edges_as_the_array_ends(shape: tuple[int, ...]) -> None:
    array = (np.random.default_rng(5).random(shape) < 0.4).astype(np.float32)
    sigma = (2.0, 0.1, 1.3)[: len(shape)]
    expected = scipy.ndimage.gaussian_filter(array.astype(float), sigma, truncate=3, mode="nearest")
    assert np.allclose(blurred(array, sigma), expected, atol=1e-5)
