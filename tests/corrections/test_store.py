"""The store of corrections: what goes in comes out, what is shown before, roles, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from tests.io_files import random_affine
from ultralightunet import InputError, LabelClass, OutputError, Segmentation, Volume
from ultralightunet.corrections import Store, checked_mask, summarize
from ultralightunet.corrections.roles import drawn_role, group_of
from ultralightunet.io.geometry import agrees
from ultralightunet.volume import Source

SHAPE = (6, 8, 10)
CLASSES = (
    LabelClass(0, "background", (0, 0, 0)),
    LabelClass(1, "liver", (200, 80, 60), "10200004"),
    LabelClass(2, "tumour", (90, 200, 60)),
)
THREE = (*CLASSES, LabelClass(3, "vessel", (60, 60, 220)))


def scan(seed: int = 0, shape: tuple[int, ...] = SHAPE, *, dtype: Any = np.int16, **facts: Any) -> Volume:
    random = np.random.default_rng(seed)
    array = random.integers(0, 200, shape).astype(dtype) if np.dtype(dtype).kind in "iu" else random.normal(0, 50, shape).astype(dtype)
    return Volume(array, facts.pop("affine", random_affine(random)), **facts)


def labels_on(image: Volume, *, seed: int = 0, classes: tuple[LabelClass, ...] = CLASSES, model: str = "") -> Segmentation:
    drawn = np.random.default_rng(seed).integers(0, len(classes), image.shape).astype(np.uint8)
    return Segmentation(drawn, image.affine, classes, image.has_spacing, image.source, model)


def mended(prediction: Segmentation, *, label: int = 1) -> Segmentation:
    """With a block of another label."""
    labels = prediction.labels.copy()
    labels[: labels.shape[0] // 2] = label
    return replace(prediction, labels=labels, model="")


def save(store: Store, seed: int = 0, **options: Any) -> Any:
    image = scan(seed)
    prediction = labels_on(image, seed=seed, model="abdomen@1.0.0")
    return store.add(image, mended(prediction), prediction, **options)


# ---- what goes in comes out


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


# ---- what is shown before


def test_the_summary_tells_what_changes() -> None:
    image = scan(affine=np.diag((1.0, 2.0, 5.0, 1.0)))
    before = np.zeros(SHAPE, np.uint8)
    before[1:3, 2:4, 2:4] = 1
    after = before.copy()
    after[2] = 0
    after[5, :2, :5] = 2
    summary = summarize(Segmentation(after, image.affine, CLASSES), Segmentation(before, image.affine, CLASSES))
    assert (summary.voxels, summary.voxels_checked, summary.voxels_changed) == (480, 480, 14)
    liver, tumour = summary.classes
    assert (liver.name, liver.voxels_before, liver.voxels_after) == ("liver", 8, 4)
    assert (liver.ml_before, liver.ml_after) == pytest.approx((0.08, 0.04))
    assert (liver.dice, tumour.dice, summary.dice) == pytest.approx((8 / 12, 0.0, 4 / 12))
    assert (tumour.voxels_before, tumour.voxels_after) == (0, 10)


def test_only_what_was_checked_counts_as_changed() -> None:
    image = scan()
    prediction = labels_on(image)
    after = mended(prediction)
    summary = summarize(after, prediction, checked={0: [1, 5]})
    assert summary.voxels_checked == 2 * 8 * 10
    assert summary.voxels_changed == int((after.labels[1] != prediction.labels[1]).sum())
    assert sum(c.voxels_after for c in summary.classes) == int((after.labels > 0).sum())


def test_labels_made_by_hand_have_no_before() -> None:
    summary = summarize(labels_on(scan()), None)
    assert summary.dice is None
    assert summary.voxels_changed == int((labels_on(scan()).labels > 0).sum())
    assert all(change.voxels_before is None and change.dice is None for change in summary.classes)


def test_a_picture_has_no_millilitres() -> None:
    image = scan(shape=(20, 30), affine=np.eye(4))
    assert summarize(labels_on(image), None).classes[0].ml_after is None


def test_slices_and_masks_say_the_same() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[2:4] = True
    mask[:, :, 9] = True
    np.testing.assert_array_equal(checked_mask({0: range(2, 4), 2: [9]}, SHAPE), mask)
    np.testing.assert_array_equal(checked_mask(mask.astype(np.uint8), SHAPE), mask)
    assert checked_mask({1: range(8)}, SHAPE) is None, "everything is checked"


# ---- roles


def test_all_images_of_a_patient_have_one_role(tmp_path: Path) -> None:
    store = Store(tmp_path)
    saved = [save(store, seed, patient_key=f" P{seed // 2} ") for seed in range(20)]
    for one, other in zip(saved[::2], saved[1::2], strict=True):
        assert (one.role, one.group) == (other.role, other.group)
    assert len({revision.group for revision in saved}) == 10


def test_about_a_fifth_is_held_out_and_another_store_draws_anew(tmp_path: Path) -> None:
    roles = []
    for name in "ab":
        store = Store(tmp_path / name)
        save(store)
        facts = json.loads((tmp_path / name / "store.json").read_text())
        salt = bytes.fromhex(facts["salt"])
        roles.append([drawn_role(salt, group_of(salt, patient_key=None, image_sha256=str(n)), facts["holdout_share"]) for n in range(1000)])
    assert all(120 < found.count("holdout") < 280 for found in roles)
    assert roles[0] != roles[1]


def test_a_revision_keeps_the_role_of_its_case_whatever_the_draw_would_be(tmp_path: Path) -> None:
    first = save(Store(tmp_path))
    facts = json.loads((tmp_path / "store.json").read_text())
    assert first.role == "train", "one correction is enough to learn from"
    (tmp_path / "store.json").write_text(json.dumps(facts | {"holdout_share": 1.0}))
    store = Store(tmp_path)
    image = scan()
    again = store.add(image, mended(labels_on(image), label=2), None, patient_key="now known")
    assert (again.number, again.role, again.group) == (2, first.role, first.group)
    assert save(store, 1).role == "holdout"
    assert [revision.case for revision in store.cases(first.role)] == [first.case]


def test_what_a_model_was_trained_on_is_never_held_out(tmp_path: Path) -> None:
    elsewhere = Store(tmp_path / "elsewhere")
    store = Store(tmp_path / "store")
    save(store, 99)
    facts = json.loads((tmp_path / "store" / "store.json").read_text())
    (tmp_path / "store" / "store.json").write_text(json.dumps(facts | {"holdout_share": 1.0}))
    store = Store(tmp_path / "store")
    seen = save(elsewhere, 1).image_sha256
    assert save(store, 1, seen_in_training={seen}, patient_key="A").role == "train"
    assert save(store, 2, patient_key="A").role == "train", "another image of that patient"
    assert save(store, 3, patient_key="B").role == "holdout"


# ---- what is refused


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
