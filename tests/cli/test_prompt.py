"""`ultralight prompt`: points and boxes in, the mask of one object out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import ultralightunet as ulu
from tests.command import Command, sentence
from tests.io_files import write_nii
from tests.prompting.scenes import ball, blob
from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import dice

AFFINE = np.array([[-1.0, 0, 0, 30], [0, 1, 0, -40], [0, 0, 1.5, 10], [0, 0, 0, 1]])


@pytest.fixture
def head(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A volume with a ball in it, and the ball."""
    image, target = ball((24, 64, 64), (12, 30, 34), 9)
    return write_nii(tmp_path / "ball.nii.gz", image.array, AFFINE), target


def test_a_point_gives_the_mask_that_python_gives(tmp_path: Path, ultralight: Command, head: tuple[Path, np.ndarray]) -> None:
    path, target = head
    done = ultralight("prompt", path, "-o", tmp_path / "labels.nii.gz", "--point", "12,30,34")
    assert (done.code, done.err) == (0, "")
    touch = ulu.PromptSession(read_image(path))
    expected = touch.add(ulu.Point((12, 30, 34)))
    found = nib.load(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(found.dataobj).T == 1, expected)
    np.testing.assert_allclose(found.affine, nib.load(path).affine, atol=1e-4)
    assert dice(expected, target) > 0.6
    assert f"1: {int(expected.sum())} voxels" in done.out


def test_prompts_count_in_the_order_in_which_they_are_given(tmp_path: Path, ultralight: Command, head: tuple[Path, np.ndarray]) -> None:
    path, _ = head
    prompts = ("--point", "12,30,34", "--not-point", "12,30,34")
    done = ultralight("prompt", path, "-o", tmp_path / "a.nii.gz", *prompts)
    assert not read_labels(tmp_path / "a.nii.gz").labels[12, 30, 34]
    assert "the later one counts" in done.err
    ultralight("prompt", path, "-o", tmp_path / "b.nii.gz", *prompts, "--point", "12,30,34")
    assert read_labels(tmp_path / "b.nii.gz").labels[12, 30, 34]


def test_a_box_in_one_slice_alone(tmp_path: Path, ultralight: Command, head: tuple[Path, np.ndarray]) -> None:
    path, target = head
    done = ultralight("prompt", path, "-o", tmp_path / "a.nii.gz", "--box", "12:13,18:43,22:47", "--slice-only", "--axis", "0", "--json")
    assert done.code == 0
    labels = read_labels(tmp_path / "a.nii.gz").labels
    assert np.flatnonzero(labels.any((1, 2))).tolist() == [12]
    assert dice(labels[12] == 1, target[12]) > 0.7
    result = done.events[-1]
    assert (result["event"], result["label"], result["voxels"]) == ("result", 1, int((labels == 1).sum()))


def test_an_object_is_put_into_labels_beside_other_classes(tmp_path: Path, ultralight: Command, head: tuple[Path, np.ndarray]) -> None:
    path, _ = head
    given = np.zeros((24, 64, 64), np.uint8)
    given[:, :, 36:] = 3
    write_nii(tmp_path / "given.nii.gz", given, AFFINE)
    done = ultralight(
        "prompt", path, "-o", tmp_path / "out.nii.gz", "--point", "12,30,32", "--labels", tmp_path / "given.nii.gz", "--class", "7"
    )
    assert done.code == 0
    labels = read_labels(tmp_path / "out.nii.gz").labels
    assert (labels[:, :, 36:] == 3).all()
    assert labels[12, 30, 32] == 7


def test_a_labelled_slice_is_followed_to_the_others(tmp_path: Path, ultralight: Command, head: tuple[Path, np.ndarray]) -> None:
    path, target = head
    given = np.zeros((24, 64, 64), np.uint8)
    given[12] = target[12]
    write_nii(tmp_path / "given.nii.gz", given, AFFINE)
    done = ultralight("prompt", path, "-o", tmp_path / "out.nii.gz", "--labels", tmp_path / "given.nii.gz", "--axis", "0", "--propagate")
    assert done.code == 0
    labels = read_labels(tmp_path / "out.nii.gz").labels
    assert (labels[12] == target[12]).all()
    assert labels.any((1, 2)).sum() > 5


def test_a_picture_is_pointed_at_with_two_numbers(tmp_path: Path, ultralight: Command) -> None:
    from PIL import Image

    image, target = blob((120, 150), (50, 90), 20)
    Image.fromarray(image.array).save(tmp_path / "blob.png")
    assert ultralight("prompt", tmp_path / "blob.png", "-o", tmp_path / "mask.png", "--point", "50,90").code == 0
    assert dice(read_labels(tmp_path / "mask.png").labels == 1, target) > 0.8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected a prompt, found none"),
        (("--point", "99,0,0"), "expected a point inside the image's"),
        (("--point", "5,5"), "give 3 numbers a voxel"),
        (("--box", "3:3,0:5,0:5"), "expected a box inside the image's"),
        (("--point", "1,2,3", "--class", "0"), "expected a class from 1"),
    ],
)
def test_what_cannot_be_pointed_at_is_refused_in_a_sentence(
    tmp_path: Path, ultralight: Command, head: tuple[Path, np.ndarray], arguments: tuple[str, ...], said: str
) -> None:
    done = ultralight("prompt", head[0], "-o", tmp_path / "out.nii.gz", *arguments)
    assert done.code == 1
    assert said in sentence(done)
    assert not (tmp_path / "out.nii.gz").exists()


def test_labels_of_another_image_are_refused(tmp_path: Path, ultralight: Command, head: tuple[Path, np.ndarray]) -> None:
    write_nii(tmp_path / "other.nii.gz", np.zeros((24, 64, 63), np.uint8), np.eye(4))
    arguments = ("--point", "12,30,34", "--labels", tmp_path / "other.nii.gz")
    done = ultralight("prompt", head[0], "-o", tmp_path / "out.nii.gz", *arguments)
    assert done.code == 1
    assert "choose labels of this image" in sentence(done)
