"""What cannot be a correction is refused, and nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corrections.cases import CLASSES, SHAPE, labels_on, mended, save, scan
from ultralightunet import InputError, LabelClass, OutputError, Segmentation, Volume
from ultralightunet.corrections import Store


def empty(image: Volume) -> Segmentation:
    return Segmentation(np.zeros(image.shape, np.uint8), image.affine, CLASSES)


def test_labels_of_another_shape_or_place_are_refused(tmp_path: Path) -> None:
    image, store = scan(), Store(tmp_path / "store")
    with pytest.raises(InputError, match=r"expected a correction on the grid of the image, \(6, 8, 10\), found shape \(6, 8, 9\)"):
        store.add(image, labels_on(scan(shape=(6, 8, 9), affine=image.affine)), None)
    moved = image.affine.copy()
    moved[0, 3] += 2
    with pytest.raises(InputError, match="in the place of the image, found an affine that puts it up to 2 mm away"):
        store.add(image, replace(labels_on(image), affine=moved), None)
    with pytest.raises(InputError, match="expected a prediction in the place of the labels"):
        store.add(image, labels_on(image), replace(labels_on(image, seed=1), affine=moved))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("label", [3, 300, 70000, -1])
def test_a_class_that_nobody_knows_is_refused(tmp_path: Path, label: int) -> None:
    image = scan()
    labels = labels_on(image).labels.astype(np.int32)
    labels[0, 0, 0] = label
    with pytest.raises(InputError, match=rf"known classes \(0 background, 1 liver, 2 tumour\), found class {label};"):
        Store(tmp_path).add(image, replace(labels_on(image), labels=labels), None)


def test_a_correction_that_corrects_nothing_is_refused_unless_confirmed(tmp_path: Path) -> None:
    image, store = scan(), Store(tmp_path / "store")
    same = labels_on(image)
    with pytest.raises(InputError, match="found labels equal to the prediction"):
        store.add(image, same, same)
    with pytest.raises(InputError, match="equal to the prediction wherever they were checked"):
        store.add(image, mended(same), same, checked={0: [5]})
    with pytest.raises(InputError, match="found no labels at all"):
        store.add(image, empty(image), same)
    with pytest.raises(InputError, match="found no labels at all"):
        store.add(image, empty(image), None)
    assert not (tmp_path / "store").exists()
    assert store.add(image, same, same, confirmed=True).dice == 1.0
    assert store.add(image, empty(image), same, confirmed=True).number == 2


@pytest.mark.parametrize(
    ("checked", "said"),
    [
        (np.ones((6, 8, 9), bool), r"expected a mask of checked voxels of the image's shape \(6, 8, 10\)"),
        (np.zeros(SHAPE, bool), "found none marked as checked"),
        ({0: [6]}, "expected checked slices from 0 to 5 along axis k, found 6"),
        ({1: [-1]}, "expected checked slices from 0 to 7 along axis j, found -1"),
        ({3: [0]}, "expected an axis from 0 to 2 for checked slices, found 3"),
        ({0: []}, "found none marked as checked"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(tmp_path: Path, checked: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Store(tmp_path).add(scan(), labels_on(scan()), None, checked=checked)


def test_images_and_classes_of_another_task_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store)
    picture = scan(shape=(20, 30, 3), dtype=np.uint8, affine=np.eye(4), channels=3)
    with pytest.raises(InputError, match="expected an image in 3D with 1 channel"):
        store.add(picture, labels_on(picture), None)
    other = (CLASSES[0], LabelClass(1, "kidney"))
    with pytest.raises(InputError, match="expected class 1 to be 'liver' as in this store's other corrections, found 'kidney'"):
        store.add(scan(1), labels_on(scan(1), classes=other), None)
    with pytest.raises(InputError, match="expected classes numbered 0"):
        store.add(scan(1), replace(labels_on(scan(1)), classes=(CLASSES[0], CLASSES[2])), None)
    assert len(store.revisions()) == 1


def test_missing_values_are_refused(tmp_path: Path) -> None:
    image = scan(dtype=np.float32)
    image.array[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="expected finite values, found 1"):
        Store(tmp_path).add(image, labels_on(image), None)


def test_a_folder_of_other_things_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(InputError, match="expected a store of corrections or a new folder, found other things"):
        Store(tmp_path)


def test_a_store_that_a_newer_version_wrote_is_read_but_not_added_to(tmp_path: Path) -> None:
    save(Store(tmp_path))
    facts = json.loads((tmp_path / "store.json").read_text())
    (tmp_path / "store.json").write_text(json.dumps(facts | {"schema_version": 2}))
    store = Store(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(store.cases()) == 1
    assert store.cases()[0].labels().labels.shape == SHAPE
    with pytest.raises(OutputError, match=r"found version 2 .* a newer UltraLight wrote; it can be read only, update UltraLight here"):
        save(store, 1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
