"""A store keeps what it is given, and gives it back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from tests.corrections.cases import CLASSES, labels_on, mended, save, scan
from tests.io_files import random_affine
from ultralightunet.corrections import Store
from ultralightunet.io.geometry import agrees
from ultralightunet.volume import Source


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32, ">i2", np.float16])
def test_image_labels_and_prediction_come_back_as_they_were(tmp_path: Path, dtype: Any) -> None:
    image = scan(dtype=dtype)
    prediction = labels_on(image, model="abdomen@1.0.0")
    Store(tmp_path / "store").add(image, mended(prediction), prediction, modality="CT")
    (found,) = Store(tmp_path / "store").cases()
    np.testing.assert_array_equal(found.image().array, image.array)
    np.testing.assert_array_equal(found.image().affine, image.affine)
    np.testing.assert_array_equal(found.labels().labels, mended(prediction).labels)
    before = found.prediction()
    assert before is not None
    np.testing.assert_array_equal(before.labels, prediction.labels)
    assert (before.model, found.labels().classes, found.modality, found.checked()) == ("abdomen@1.0.0", CLASSES, "CT", None)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("oblique", [False, True])
def test_a_picture_comes_back_as_it_was(tmp_path: Path, colour: bool, oblique: bool) -> None:
    shape = (20, 30, 3) if colour else (20, 30)
    affine = random_affine(np.random.default_rng(3)) if oblique else np.eye(4)
    image = scan(shape=shape, dtype=np.uint8, affine=affine, channels=3 if colour else 1, has_spacing=oblique)
    found = Store(tmp_path).add(image, labels_on(image), None)
    np.testing.assert_array_equal(found.image().array, image.array)
    np.testing.assert_array_equal(found.labels().labels, labels_on(image).labels)
    assert (found.image().channels, found.image().has_spacing, found.labels().has_spacing) == (image.channels, oblique, oblique)
    assert len(found.image_paths) == image.channels


def test_other_programs_read_the_files_in_their_place(tmp_path: Path) -> None:
    image = scan()
    found = Store(tmp_path).add(image, labels_on(image), None, checked={0: [2]})
    for path in (found.image_paths[0], found.folder / "labels.nii.gz", found.folder / "checked.nii.gz"):
        theirs = nib.load(path)
        assert agrees(image.affine, theirs.affine, image.shape)
        itk = sitk.ReadImage(str(path))
        np.testing.assert_allclose(itk.GetSpacing()[::-1], image.spacing, rtol=1e-5)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(itk), np.asarray(theirs.dataobj).T)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(found.image_paths[0]))), image.array)


def test_a_later_correction_is_a_new_revision_and_the_image_is_stored_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = save(store)
    image_file = first.image_paths[0]
    before = {path: path.read_bytes() for path in first.folder.parent.rglob("*") if path.is_file()}
    image = scan()
    second = store.add(image, mended(labels_on(image), label=2), labels_on(image, model="abdomen@1.0.1"))
    assert (first.case, first.number, second.case, second.number) == (second.case, 1, first.case, 2)
    assert {path: path.read_bytes() for path in before} == before
    assert second.image_paths == (image_file,)
    assert [revision.number for revision in store.revisions()] == [1, 2]
    assert store.cases() == [second]
    assert store.check().problems == ()


def test_the_same_correction_twice_is_saved_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert save(store) == save(store)
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 1


def test_a_case_is_known_by_its_content_not_by_its_path(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image, moved = scan(), replace(scan(), source=Source(Path("elsewhere.nii.gz"), "nifti"))
    nudged = replace(image, affine=image.affine + np.diag((1e-9, 1e-9, 1e-9, 0)))
    shifted = replace(image, affine=image.affine + np.array([[0, 0, 0, 5.0], [0] * 4, [0] * 4, [0] * 4]))
    cases = [store.add(other, mended(labels_on(other)), None).case for other in (image, moved, nudged, shifted, scan(1))]
    assert cases[0] == cases[1] == cases[2]
    assert len(set(cases)) == 3


def test_the_ledger_tells_of_every_save_and_when(tmp_path: Path) -> None:
    found = save(Store(tmp_path))
    (entry,) = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert (entry["case"], entry["revision"], entry["model"], entry["dice"]) == (found.case, 1, "abdomen@1.0.0", found.dice)
    assert entry["voxels_changed"] == found.voxels_changed > 0
    assert entry["image_sha256"].startswith(found.case)
    assert len({entry[f"{name}_sha256"] for name in ("image", "labels", "prediction", "facts")}) == 4
    assert isinstance(entry["time"], int)
    assert entry["tool_version"]


def test_nothing_in_a_store_tells_who_the_patient_is(tmp_path: Path) -> None:
    header = {"descrip": "Miller^Anna 19520304", "aux_file": "4711"}
    image = replace(scan(), source=Source(tmp_path / "Miller_Anna" / "scan.nii.gz", "nifti", header))
    prediction = replace(labels_on(image), source=image.source, facts={"path": "Miller_Anna"})
    Store(tmp_path / "store").add(image, mended(prediction), prediction, patient_key="PID-4711")
    for path in (tmp_path / "store").rglob("*"):
        if not path.is_file():
            continue
        blob = path.read_bytes()
        if path.suffix == ".gz":
            assert blob[3:8] == b"\0" * 5, "the gzip header has a name or a time"
            theirs = nib.load(path)
            blob = theirs.header.binaryblock
            assert not theirs.header.extensions
        for secret in (b"Miller", b"4711", b"19520304", str(tmp_path).encode()):
            assert secret not in blob, path
