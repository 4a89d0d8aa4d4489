"""No stray islands."""

import numpy as np

from ultralightunet.inference.postprocessing import keep_largest


def test_only_the_largest_island_of_a_group_is_kept() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:10, 2:10, 2:10] = 1
    labels[10:12, 4:8, 4:8] = 2
    labels[15:17, 15:17, 15:17] = 1
    labels[18, 2, 2] = 3
    keep_largest(labels, (1, 2))
    assert (labels == 1).sum() == 512
    assert (labels == 2).sum() == 32
    assert labels[18, 2, 2] == 3


def test_it_works_through_a_view() -> None:
    labels = np.zeros((6, 8), np.uint8)
    labels[0, 0] = labels[3:5, 3:5] = 1
    keep_largest(labels.T[::-1], (1,))
    assert labels.sum() == 4


def test_empty_labels_stay_empty() -> None:
    labels = np.zeros((4, 4), np.uint8)
    keep_largest(labels, (2, 3))
    assert not labels.any()


def test_a_group_leaves_the_classes_between_its_own_alone() -> None:
    labels = np.array([[1, 3, 0, 2, 0, 3]], np.uint8)
    keep_largest(labels, (1, 3))
    np.testing.assert_array_equal(labels, [[1, 3, 0, 2, 0, 0]])


def test_an_empty_group_takes_nothing_away() -> None:
    labels = np.array([[1, 0, 2]], np.uint8)
    keep_largest(labels, ())
    np.testing.assert_array_equal(labels, [[1, 0, 2]])
