"""What is odd about labelled images is said in a sentence: it stops a training only where nobody can tell what is right."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny_task import QUICK, write_dataset
from ultralightunet import InputError, LabelClass, Segmentation
from ultralightunet.events import Note, finish
from ultralightunet.io import write_labels
from ultralightunet.new_task import fingerprint_of, read_dataset, train


def notes_on(data: Path, *, classes: tuple[str, ...] = ()) -> list[str]:
    events: list[object] = []
    finish(fingerprint_of(read_dataset(data, classes=classes)), events.append)
    return [event.sentence for event in events if isinstance(event, Note)]


def save(values: np.ndarray, path: Path) -> None:
    Image.fromarray(values.astype(np.uint8)).save(path)


def mask(data: Path, number: int) -> np.ndarray:
    return np.asarray(Image.open(data / "masks" / f"{number:02d}.png"))


def test_nothing_is_odd_about_ordinary_cases(tmp_path: Path) -> None:
    assert notes_on(write_dataset(tmp_path / "data", 3)) == []


def test_cases_without_a_label_are_named_and_train_all_the_same(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 3)
    save(0 * mask(data, 1), data / "masks" / "01.png")
    (note,) = notes_on(data)
    assert note.startswith("Nothing is labelled in 01:")
    assert train(data, tmp_path / "model", replace(QUICK, steps=2)).folder == tmp_path / "model"


def test_labels_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 2)
    for number in range(2):
        save(0 * mask(data, number), data / "masks" / f"{number:02d}.png")
    with pytest.raises(InputError, match="found background only"):
        notes_on(data)


def test_a_class_of_one_case_and_a_class_of_none_are_told(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 3)
    for number in range(3):
        values = (mask(data, number) > 0).astype(np.uint8)
        if number == 2:
            values[:3, :3] = 3
        save(values, data / "masks" / f"{number:02d}.png")
    assert notes_on(data, classes=("disc", "ghost", "corner")) == [
        "No case shows ghost: it will not be found in any image; label it, or leave the class out.",
        "Only 02 shows corner: whether it is found in another cannot be told; label further ones.",
    ]


def test_one_image_with_two_labels_is_refused_by_both_names(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 3)
    shutil.copyfile(data / "images" / "00.png", data / "images" / "02.png")
    with pytest.raises(InputError, match="found 00 and 02 to be the same image with two; keep one"):
        notes_on(data)
    shutil.copyfile(data / "masks" / "00.png", data / "masks" / "02.png")
    assert notes_on(data) == ["The image of 02 is in the dataset twice, with the same labels; one is enough."]


def test_images_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 3)
    grey = np.asarray(Image.open(data / "images" / "01.png"))
    save(np.stack([grey, grey // 2, grey], -1), data / "images" / "01.png")
    with pytest.raises(InputError, match="found 00 with 2 dimensions and 1 channel and 01 with 2 dimensions and 3 channels"):
        notes_on(data)


def test_masks_that_are_written_in_two_ways_are_alike(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 3)
    save(mask(data, 1) > 0, data / "masks" / "01.png")
    found = read_dataset(data)
    assert [entry.name for entry in found.classes] == ["background", "object"]
    assert notes_on(data) == []


def test_masks_that_lost_their_values_in_compression_are_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 3)
    values = mask(data, 1).copy()
    values[:1, :5] = (1, 2, 250, 254, 255)
    save(values, data / "masks" / "01.png")
    with pytest.raises(InputError, match=r"one value beside 0, or with 1, 2, .* found 0, 1, 2, 250 .* lossy compression"):
        notes_on(data)


def test_pictures_of_several_sizes_and_volumes_of_several_spacings_meet_on_one_grid(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 3)
    for folder in ("images", "masks"):
        path = data / folder / "01.png"
        Image.open(path).resize((100, 40), Image.Resampling.NEAREST).save(path)
    assert train(data, tmp_path / "model", replace(QUICK, steps=2)).size == (64, 64)
    volumes = tmp_path / "volumes"
    rng, classes = np.random.default_rng(0), tuple(LabelClass(n, f"{n}") for n in range(256))
    for name in ("images", "masks"):
        (volumes / name).mkdir(parents=True)
    for number, spacing in enumerate((1.0, 1.5, 3.0)):
        image = rng.integers(0, 255, (36, 36, 36)).astype(np.uint8)
        labels = np.zeros_like(image)
        labels[10:20, 10:20, 10:20] = 1
        affine = np.diag((spacing, spacing, spacing, 1.0))
        write_labels(Segmentation(image, affine, classes), volumes / "images" / f"{number}.nii.gz")
        write_labels(Segmentation(labels, affine, classes), volumes / "masks" / f"{number}.nii.gz")
    assert train(volumes, tmp_path / "other", replace(QUICK, steps=1)).spacing == (1.5, 1.5, 1.5)
