"""Two readers of one case are compared on the image's grid, and one set of labels is made from theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.io_files import random_affine
from tests.worklist.lists import image, labels, listed
from ultralightunet import Segmentation
from ultralightunet.errors import InputError
from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import compare
from ultralightunet.worklist import Worklist, agreements, consensus


def twice_read(folder: Path) -> Worklist:
    worklist = listed(folder, "a", readers=2)
    worklist.check("a", "Anna", labels(folder / "anna.nii.gz", last=3))
    worklist.check("a", "Ben", labels(folder / "ben.nii.gz", last=4))
    return worklist


def blocks(*rows: int) -> list[Segmentation]:
    """A reader each, whose block reaches to a row; 300 beside it."""
    found = []
    for last in rows:
        array = np.zeros((6, 10, 10), np.uint16)
        array[1:5, 1:last, 2:8], array[0, :2] = 1, 300
        found.append(Segmentation(array, np.eye(4)))
    return found


def test_the_agreement_is_that_of_the_files_that_were_kept(tmp_path: Path) -> None:
    worklist = twice_read(tmp_path)
    (found,) = agreements(worklist, "a")
    assert (found.first, found.second) == ("Anna", "Ben")
    assert found.classes == tuple(compare(read_labels(tmp_path / "anna.nii.gz"), read_labels(tmp_path / "ben.nii.gz")))
    assert found.classes[0].dice == pytest.approx(2 * 24 / (24 + 32))


def test_what_a_reader_kept_is_a_copy_on_the_images_grid(tmp_path: Path) -> None:
    worklist = twice_read(tmp_path)
    (tmp_path / "anna.nii.gz").unlink()
    scan = read_image(tmp_path / "images/a.nii")
    kept = read_labels(worklist.folder / worklist.case("a").readings[0].labels)
    np.testing.assert_allclose(kept.affine, scan.affine, atol=1e-5)
    assert kept.counts() == {1: 24}
    assert len(agreements(worklist, "a")) == 1


def test_labels_of_another_grid_are_not_kept(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a")
    other = Segmentation(np.ones((3, 3, 3), np.uint8), np.eye(4)).save(tmp_path / "other.nii.gz")
    with pytest.raises(InputError, match=r"expected a label file other.nii.gz on the grid of the image of a, \(4, 6, 8\), found shape"):
        worklist.check("a", "Anna", other)
    elsewhere = Segmentation(np.ones((4, 6, 8), np.uint8), random_affine(np.random.default_rng(9))).save(tmp_path / "elsewhere.nii.gz")
    with pytest.raises(InputError, match=r"expected a label file elsewhere.nii.gz in the place of the image of a"):
        worklist.check("a", "Anna", elsewhere)
    with pytest.raises(InputError, match=r"expected labels.*scan.nii.gz"):
        worklist.check("a", "Anna", image(tmp_path / "scan.nii.gz"))
    assert not (tmp_path / "list/ledger.jsonl").exists()


def test_kept_labels_that_were_changed_are_told_of(tmp_path: Path) -> None:
    worklist = twice_read(tmp_path)
    labels(worklist.folder / worklist.case("a").readings[1].labels, last=2)
    with pytest.raises(InputError, match=r"expected the labels of a as Ben kept them, found others in .*; take the file from a copy"):
        agreements(worklist, "a")


def test_a_majority_is_more_than_half_and_what_is_undecided_is_background() -> None:
    small, large = blocks(5, 8)
    np.testing.assert_array_equal(consensus([small, large]).labels, small.labels)
    np.testing.assert_array_equal(consensus([small, large, large]).labels, large.labels)
    liver, tumour = (Segmentation(np.full((2, 2), n, np.uint8), np.eye(4)) for n in (1, 2))
    assert consensus([liver, tumour]).labels.max() == 0


def test_staple_weighs_the_readers_and_keeps_labels_beyond_255() -> None:
    one, same, outlier = blocks(6, 6, 9)
    found = consensus([one, same, outlier], "staple")
    np.testing.assert_array_equal(found.labels, one.labels)
    assert found.labels.dtype == np.uint16
    flat = [Segmentation(reading.labels[2], np.eye(4)) for reading in (one, same)]
    np.testing.assert_array_equal(consensus(flat, "staple").labels, flat[0].labels)


def test_a_consensus_needs_two_readers_on_one_grid() -> None:
    (one,) = blocks(5)
    with pytest.raises(InputError, match=r"expected the labels of two readers or more for a consensus, found 1; have the case read again"):
        consensus([one])
    with pytest.raises(InputError, match=r"expected labels on one grid for a consensus, found shapes \(6, 10, 10\), \(2, 10, 10\)"):
        consensus([one, Segmentation(one.labels[:2], np.eye(4))])
