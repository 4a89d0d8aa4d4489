"""A store is an nnU-Net v2 raw dataset: its `dataset.json`, the ignore label, classes that came later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.corrections.cases import CLASSES, THREE, labels_on, mended, save, scan
from ultralightunet import LabelClass
from ultralightunet.corrections import Store

VERIFY = """
import sys
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
if __name__ == "__main__":
    verify_dataset_integrity(sys.argv[1], 1)
"""


def dataset(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "dataset.json").read_text())
    return facts


def label_of(folder: Path, case: str) -> np.ndarray:
    return np.asarray(nib.load(folder / dataset(folder)["dataset"][case]["label"]).dataobj).T


def test_the_dataset_names_image_and_latest_labels_of_each_case(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, other = save(store, modality="CT"), save(store, 1)
    image = scan()
    second = store.add(image, mended(labels_on(image), label=2), None)
    facts = dataset(tmp_path)
    assert facts["channel_names"] == {"0": "CT"}
    assert facts["labels"] == {"background": 0, "liver": 1, "tumour": 2}
    assert (facts["numTraining"], facts["file_ending"]) == (2, ".nii.gz")
    assert facts["dataset"] == {
        first.case: {"images": [f"cases/{first.case}/image.nii.gz"], "label": f"cases/{first.case}/0002/labels.nii.gz"},
        other.case: {"images": [f"cases/{other.case}/image.nii.gz"], "label": f"cases/{other.case}/0001/labels.nii.gz"},
    }
    assert facts["ultralight"]["roles"] == {first.case: second.role, other.case: other.role}
    np.testing.assert_array_equal(label_of(tmp_path, first.case), second.labels().labels)


def test_what_was_not_checked_is_the_ignore_label_in_derived_files_only(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = scan()
    found = store.add(image, labels_on(image), None, checked={0: [2, 3]})
    whole = save(store, 1)
    facts = dataset(tmp_path)
    assert facts["labels"] == {"background": 0, "liver": 1, "tumour": 2, "ignore": 3}
    expected = labels_on(image).labels.copy()
    expected[[0, 1, 4, 5]] = 3
    np.testing.assert_array_equal(label_of(tmp_path, found.case), expected)
    np.testing.assert_array_equal(found.labels().labels, labels_on(image).labels)
    assert facts["dataset"][whole.case]["label"].startswith("cases/")


def test_a_new_class_changes_nothing_that_was_saved_and_is_unknown_in_what_came_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = scan()
    old = store.add(image, labels_on(image), None, checked={0: [2, 3]})
    complete = save(store, 1)
    saved = {path: path.read_bytes() for path in (tmp_path / "cases").rglob("*") if path.is_file()}
    new = store.add(scan(2), labels_on(scan(2), classes=THREE), None)
    assert {path: path.read_bytes() for path in saved} == saved
    assert store.classes == THREE
    assert dataset(tmp_path)["labels"] == {"background": 0, "liver": 1, "tumour": 2, "vessel": 3, "ignore": 4}
    expected = labels_on(image).labels.copy()
    expected[expected == 0] = 4
    expected[[0, 1, 4, 5]] = 4
    np.testing.assert_array_equal(label_of(tmp_path, old.case), expected)
    known = complete.labels().labels
    np.testing.assert_array_equal(label_of(tmp_path, complete.case), np.where(known == 0, 4, known))
    np.testing.assert_array_equal(label_of(tmp_path, new.case), new.labels().labels)
    assert sorted(path.name for path in (tmp_path / "derived").iterdir()) == sorted(
        f"{revision.case}-0001-ignore4.nii.gz" for revision in (old, complete)
    )


def test_classes_without_names_take_those_that_come_later(tmp_path: Path) -> None:
    store = Store(tmp_path)
    unnamed = tuple(replace(entry, name=f"class {entry.index}") if entry.index else entry for entry in CLASSES)
    store.add(scan(), labels_on(scan(), classes=unnamed), None)
    save(store, 1)
    assert [entry.name for entry in store.classes] == ["background", "liver", "tumour"]


def test_names_that_nnunet_keeps_for_itself_are_numbered(tmp_path: Path) -> None:
    odd = (CLASSES[0], LabelClass(1, "ignore"), LabelClass(2, "liver"), LabelClass(3, "liver"), LabelClass(4, "background"))
    Store(tmp_path).add(scan(), labels_on(scan(), classes=odd), None)
    assert dataset(tmp_path)["labels"] == {"background": 0, "ignore 1": 1, "liver": 2, "liver 3": 3, "background 4": 4}


def test_a_colour_picture_has_one_file_for_each_channel(tmp_path: Path) -> None:
    picture = scan(shape=(20, 30, 3), dtype=np.uint8, affine=np.eye(4), channels=3)
    found = Store(tmp_path).add(picture, labels_on(picture), None, modality="endoscopy")
    facts = dataset(tmp_path)
    assert facts["channel_names"] == {"0": "endoscopy 0", "1": "endoscopy 1", "2": "endoscopy 2"}
    assert [Path(name).name for name in facts["dataset"][found.case]["images"]] == [f"image_000{n}.nii.gz" for n in range(3)]


def test_a_damaged_correction_does_not_keep_others_from_being_saved(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = scan()
    found = store.add(image, labels_on(image), None, checked={0: [2]})
    (found.folder / "labels.nii.gz").write_bytes(b"damaged")
    new = store.add(scan(2), labels_on(scan(2), classes=THREE), None)
    assert list(dataset(tmp_path)["dataset"]) == [new.case]
    assert [problem.kind for problem in store.check().problems] == ["damaged", "dataset"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["volumes", "partly checked", "pictures"])
def test_nnunet_finds_nothing_wrong_with_it(tmp_path: Path, kind: str) -> None:
    """nnunetv2 wants an environment of its own: NNUNET_PYTHON names its interpreter."""
    python = os.environ.get("NNUNET_PYTHON", sys.executable)
    environment = {**os.environ, "nnUNet_raw": str(tmp_path), "OMP_NUM_THREADS": "1"}
    if subprocess.run([python, "-c", "import nnunetv2"], env=environment, capture_output=True, check=False).returncode:
        pytest.skip("needs nnunetv2, here or in the environment that NNUNET_PYTHON names")
    store = Store(tmp_path / "store")
    if kind == "pictures":
        picture = scan(shape=(20, 30, 3), dtype=np.uint8, affine=np.eye(4), channels=3)
        store.add(picture, labels_on(picture), None)
    else:
        save(store, 1)
        store.add(scan(), labels_on(scan()), None, checked={0: [2]} if kind == "partly checked" else None)
        store.add(scan(3), labels_on(scan(3), classes=THREE if kind == "partly checked" else CLASSES), None)
    script = tmp_path / "verify.py"
    script.write_text(VERIFY)
    done = subprocess.run(
        [python, str(script), str(store.folder)], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "verify_dataset_integrity Done" in done.stdout
    assert "Error" not in done.stdout
    assert "mismatch" not in done.stdout
