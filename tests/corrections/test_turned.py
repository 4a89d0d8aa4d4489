"""An image whose axes a host has turned around is the same case, with the same voxels marked."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from ultralightunet import LabelClass, Segmentation, Volume
from ultralightunet.corrections import Store

CLASSES = (LabelClass(0, "background"), LabelClass(1, "liver"))
AFFINE = np.array([[-0.8, 0.1, 0, 30], [0.08, 1.0, 0, -20], [0, 0, 2.0, 5], [0, 0, 0, 1]])


def turned(volume: Volume, axes: tuple[int, ...], flips: tuple[int, ...]) -> Volume:
    """The same image with its array axes in another order, and some of them backwards then."""
    array = np.flip(volume.array.transpose(axes), flips)
    affine = np.eye(4)
    columns = [2 - axes[2 - column] for column in range(3)]
    affine[:3, :3] = volume.affine[:3, columns]
    affine[:3, 3] = volume.affine[:3, 3]
    for axis in flips:
        affine[:3, 3] += affine[:3, 2 - axis] * (array.shape[axis] - 1)
        affine[:3, 2 - axis] *= -1
    return Volume(array, affine)


@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_a_turned_image_is_the_same_case(tmp_path: Path, axes: tuple[int, ...], flips: tuple[int, ...]) -> None:
    image = Volume(np.random.default_rng(0).integers(0, 500, (5, 6, 7)).astype(np.int16), AFFINE)
    truth = np.zeros((5, 6, 7), np.uint8)
    truth[1:3, 2:4, 1:6] = 1
    mask = np.zeros((5, 6, 7), np.uint8)
    mask[:4] = 1
    store = Store(tmp_path / "store")
    first = store.add(image, Segmentation(np.roll(truth, 1, 2), AFFINE, CLASSES), None)
    other = turned(image, axes, flips)
    labels, checked, guess = (turned(Volume(array, AFFINE), axes, flips).array for array in (truth, mask, np.roll(truth, 1, 1)))
    second = store.add(
        other, Segmentation(labels, other.affine, CLASSES), Segmentation(guess, other.affine, CLASSES, model="m@1"), checked=checked
    )
    assert (second.case, second.number) == (first.case, 2)
    np.testing.assert_array_equal(second.labels().labels, truth)
    np.testing.assert_array_equal(second.checked(), mask != 0)
    prediction = second.prediction()
    assert prediction is not None
    np.testing.assert_array_equal(prediction.labels, np.roll(truth, 1, 1))
    assert store.check().problems == ()


def test_an_image_that_only_lies_there_is_another_case(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store = Store(tmp_path / "store")
    image = Volume(rng.integers(0, 500, (5, 6, 7)).astype(np.int16), AFFINE)
    other = turned(Volume(rng.integers(0, 500, (5, 6, 7)).astype(np.int16), AFFINE), (0, 1, 2), (0,))
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[2] = 1
    cases = {store.add(v, Segmentation(labels, v.affine, CLASSES), None).case for v in (image, other)}
    assert len(cases) == 2
