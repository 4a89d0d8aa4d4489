"""`ultralight corrections`: what it saves, what it says, and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.command import Command, sentence
from tests.io_files import dicom_series, random_affine, write_nii
from tests.small_models import small_model
from ultralightunet.cli import main
from ultralightunet.corrections import Store
from ultralightunet.io import read_image
from ultralightunet.models import write_model
from ultralightunet.volume import Segmentation

SHAPE = (8, 10, 12)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """An image, a prediction and its correction, lying obliquely."""
    affine = random_affine(np.random.default_rng(0))
    random = np.random.default_rng(1)
    prediction = random.integers(0, 3, SHAPE).astype(np.uint8)
    labels = prediction.copy()
    labels[2:4] = 1
    return {
        "image": write_nii(tmp_path / "Miller_Anna.nii.gz", random.normal(0, 50, SHAPE).astype(np.float32), affine),
        "prediction": write_nii(tmp_path / "prediction.nii.gz", prediction, affine),
        "labels": write_nii(tmp_path / "labels.nii.gz", labels, affine),
    }


def told(files: dict[str, Path], **changed: Any) -> list[Any]:
    options = files | changed
    return [part for name, path in options.items() if path is not None for part in (f"--{name}", path)]


def test_a_correction_is_added_shown_and_listed(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    store = tmp_path / "store"
    done = ultralight("corrections", "add", store, *told(files), "--classes", "liver,tumour", "--patient", "PID-4711")
    assert (done.code, done.err) == (0, "")
    (found,) = Store(store).cases()
    first, changed, liver, tumour = done.out.splitlines()
    assert first == f"{files['image']} -> {found.case}/0001 ({found.role})"
    assert changed == f"    {found.voxels_changed} of 960 checked voxels changed, Dice between prediction and correction {found.dice:.4f}"
    assert liver.startswith("    1 liver: ")
    assert tumour.endswith(" ml")
    np.testing.assert_array_equal(found.image().array, read_image(files["image"]).array)
    np.testing.assert_array_equal(found.labels().labels, read_image(files["labels"]).array)
    assert len({entry.color for entry in found.classes}) == 3
    listed = ultralight("corrections", "list", store)
    assert listed.out.startswith(f"{found.case}/0001  {found.role}")
    assert "100.0 % checked" in listed.out
    assert "liver, tumour" in listed.out
    blobs = [path.read_bytes() for path in store.rglob("*") if path.suffix in (".json", ".jsonl")]
    assert not any(b"Miller" in blob or b"4711" in blob or str(tmp_path).encode() in blob for blob in blobs)


def test_programs_are_told_in_json(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    store = tmp_path / "store"
    (added,) = ultralight("corrections", "add", store, *told(files), "--json").events
    assert (added["event"], added["revision"], added["voxels"], added["voxels_checked"]) == ("correction", 1, 960, 960)
    assert added["classes"] == ["background", "class 1", "class 2"]
    assert [change["index"] for change in added["changes"]] == [1, 2]
    (listed,) = ultralight("corrections", "list", store, "--json").events
    assert listed == {name: value for name, value in added.items() if name != "changes"}
    *progress, report = ultralight("corrections", "check", store, "--json").events
    assert {event["event"] for event in progress} == {"progress"}
    assert report == {"event": "report", "cases": 1, "revisions": 1, "problems": 0, "whole": True}


def test_a_model_names_the_classes_and_made_the_prediction(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    model = small_model(tmp_path / "model", name="abdomen")
    done = ultralight("corrections", "add", tmp_path / "store", *told(files), "--model", model.folder, "--json")
    assert (done.events[0]["model"], done.events[0]["classes"]) == ("abdomen@1.0.0", ["background", "part 1", "part 2"])
    assert json.loads((tmp_path / "store" / "dataset.json").read_text())["channel_names"] == {"0": "MR"}


def test_only_some_slices_are_checked(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    done = ultralight("corrections", "add", tmp_path / "store", *told(files), "--checked-slices", "k:2-3,5,i:11", "--json")
    assert done.code == 0
    (found,) = Store(tmp_path / "store").cases()
    mask = np.zeros(SHAPE, bool)
    mask[[2, 3, 5]] = True
    mask[:, :, 11] = True
    np.testing.assert_array_equal(found.checked(), mask)
    assert done.events[0]["voxels_checked"] == mask.sum()


def test_every_revision_is_listed_when_asked_for(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    store = tmp_path / "store"
    ultralight("corrections", "add", store, *told(files))
    ultralight("corrections", "add", store, *told(files, labels=files["prediction"], prediction=None))
    assert [event["revision"] for event in ultralight("corrections", "list", store, "--json").events] == [2]
    assert [event["revision"] for event in ultralight("corrections", "list", store, "--all", "--json").events] == [1, 2]


def test_labels_on_a_dicom_series_are_saved_on_its_grid(tmp_path: Path, ultralight: Command) -> None:
    stack = np.random.default_rng(0).integers(0, 900, (4, 6, 5)).astype(np.uint16)
    dicom_series(tmp_path / "series", stack)
    image = read_image(tmp_path / "series")
    labels = write_nii(tmp_path / "labels.nii.gz", (image.array > 450).astype(np.uint8), image.affine)
    done = ultralight("corrections", "add", tmp_path / "store", "--image", tmp_path / "series", "--labels", labels)
    assert (done.code, done.err) == (0, "")
    (found,) = Store(tmp_path / "store").cases()
    np.testing.assert_array_equal(found.image().array, image.array)
    assert not any(b"Secret" in path.read_bytes() for path in (tmp_path / "store").rglob("*.json*"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no image", "expected an image, found nothing at"),
        ("other shape", "expected a correction on the grid of the image, (8, 10, 12), found shape (8, 10, 11)"),
        ("other place", "expected a correction in the place of the image"),
        ("unknown class", "expected labels of the known classes (0 background, 1 liver), found class 2"),
        ("nothing changed", "found labels equal to the prediction"),
        ("no labels", "found no labels at all"),
        ("fractions", "expected whole numbers as labels"),
        ("slices outside", "expected --checked-slices inside the image, k:0-7, j:0-9, i:0-11, found k:8"),
        ("a mask of 255", "expected names for so many classes, found labels up to 255"),
        ("missing values", "expected finite values"),
        ("other folder", "expected a store of corrections or a new folder"),
    ],
)
def test_what_cannot_be_saved_is_one_clear_sentence_and_leaves_nothing(
    tmp_path: Path, ultralight: Command, files: dict[str, Path], kind: str, said: str
) -> None:
    affine = nib.load(files["image"]).affine
    labels = read_image(files["labels"]).array
    store, changed, more = tmp_path / "store", {}, []
    if kind == "no image":
        changed = {"image": tmp_path / "nothing.nii.gz"}
    elif kind == "other shape":
        changed = {"labels": write_nii(tmp_path / "other.nii.gz", labels[..., :-1], affine)}
    elif kind == "other place":
        changed = {"labels": write_nii(tmp_path / "other.nii.gz", labels)}
    elif kind == "unknown class":
        more = ["--classes", "liver"]
    elif kind == "nothing changed":
        changed = {"labels": files["prediction"]}
    elif kind == "no labels":
        changed = {"labels": write_nii(tmp_path / "other.nii.gz", labels * 0, affine)}
    elif kind == "fractions":
        changed = {"labels": write_nii(tmp_path / "other.nii.gz", read_image(files["image"]).array.clip(0), affine)}
    elif kind == "slices outside":
        more = ["--checked-slices", "k:2-8"]
    elif kind == "a mask of 255":
        changed = {"labels": write_nii(tmp_path / "other.nii.gz", (labels > 0).astype(np.uint8) * 255, affine), "prediction": None}
    elif kind == "missing values":
        values = read_image(files["image"]).array.copy()
        values[0, 0, 0] = np.nan
        changed = {"image": write_nii(tmp_path / "other.nii.gz", values, affine)}
    else:
        store = tmp_path
    found = sentence(ultralight("corrections", "add", store, *told(files, **changed), *more))
    assert said in found
    assert "Traceback" not in found
    assert not (tmp_path / "store").exists()


def test_missing_values_are_filled_in_when_told(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    values = read_image(files["image"]).array.copy()
    values[0, 0, 0] = np.nan
    image = write_nii(tmp_path / "other.nii.gz", values, nib.load(files["image"]).affine)
    assert ultralight("corrections", "add", tmp_path / "store", *told(files, image=image), "--nan-fill", "0").code == 0


def test_a_correct_prediction_is_saved_when_confirmed(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    done = ultralight("corrections", "add", tmp_path / "store", *told(files, labels=files["prediction"]), "--confirm", "--json")
    assert (done.code, done.events[0]["dice"]) == (0, 1.0)


@pytest.mark.parametrize("text", ["10-20", "x:1", "k:5-2", "k:a", "k:-1", ""])
def test_slices_that_nobody_understands_are_wrong_usage(tmp_path: Path, files: dict[str, Path], text: str) -> None:
    arguments = ["corrections", "add", tmp_path / "store", *told(files), f"--checked-slices={text}"]
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert left.value.code == 2


@pytest.mark.parametrize("action", ["list", "check"])
def test_no_store_is_one_clear_sentence(tmp_path: Path, ultralight: Command, action: str) -> None:
    assert "expected a store of corrections, found none at" in sentence(ultralight("corrections", action, tmp_path / "nothing"))


def test_damage_is_an_exit_code_and_a_leftover_is_not(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    store = tmp_path / "store"
    ultralight("corrections", "add", store, *told(files))
    (store / ".writing-0123").mkdir()
    done = ultralight("corrections", "check", store)
    assert (done.code, done.err) == (0, "")
    assert "found .writing-0123 of a save that was interrupted" in done.out
    assert done.out.endswith("1 case(s), 1 correction(s)\n")
    (found,) = Store(store).cases()
    (found.folder / "labels.nii.gz").unlink()
    done = ultralight("corrections", "check", store)
    assert done.code == 1
    assert done.err.startswith(f"ultralight: expected cases/{found.case}/0001/labels.nii.gz, found none that can be read")
    assert done.err.count("\n") == 1


def test_a_newer_store_is_listed_with_a_word_on_updating(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    store = tmp_path / "store"
    ultralight("corrections", "add", store, *told(files))
    facts = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(facts | {"schema_version": 2}))
    listed = ultralight("corrections", "list", store)
    assert (listed.code, len(listed.out.splitlines())) == (0, 1)
    assert "update UltraLight here" in listed.err
    assert "update UltraLight here" in sentence(ultralight("corrections", "add", store, *told(files)))


def test_what_the_model_was_trained_on_is_never_held_out(
    tmp_path: Path, ultralight: Command, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the model's word every case but a store's first would be held out here.
    monkeypatch.setattr("ultralightunet.corrections.saving.drawn_role", lambda *_: "holdout")
    scan = read_image(files["image"])
    first = write_nii(tmp_path / "first.nii.gz", -scan.array, nib.load(files["image"]).affine)
    for name in ("other", "store"):
        ultralight("corrections", "add", tmp_path / name, *told(files, image=first))
    (known,) = Store(tmp_path / "store").cases()
    ultralight("corrections", "add", tmp_path / "other", *told(files))
    (unseen,) = (case for case in Store(tmp_path / "other").cases() if case.case != known.case)
    assert unseen.role == "holdout"
    plain = small_model(tmp_path / "plain")
    cases = [{"case": unseen.case, "revision": 1, "use": "train", "image_sha256": unseen.image_sha256, "labels_sha256": "00"}]
    model = write_model(tmp_path / "model", replace(plain, origin={"cases": cases}), plain.weights(), licence_text="CC0-1.0\n")
    ultralight("corrections", "add", tmp_path / "store", *told(files), "--model", model.folder)
    (seen,) = (case for case in Store(tmp_path / "store").cases() if case.case == unseen.case)
    assert seen.role == "train"


def test_a_check_repairs_when_asked_to(tmp_path: Path, ultralight: Command, files: dict[str, Path]) -> None:
    store = tmp_path / "store"
    ultralight("corrections", "add", store, *told(files))
    (store / ".0123456789ab.partial").write_bytes(b"half")
    (store / ".dataset.json.01234567.partial").write_bytes(b"half")
    (store / "dataset.json").unlink()
    before = sorted(path.name for path in store.iterdir())
    looked = ultralight("corrections", "check", store)
    assert (looked.code, sorted(path.name for path in store.iterdir())) == (0, before), "nothing is changed unless that is asked for"
    done = ultralight("corrections", "check", store, "--repair")
    assert done.code == 0
    assert done.out.endswith("1 case(s), 1 correction(s); repaired, 2 unfinished file(s) removed\n")
    assert Store(store).check().problems == ()
    again = ultralight("corrections", "check", store, "--repair", "--json").events[-1]
    assert (again["problems"], again["removed"]) == (0, 0)


def test_labels_and_prediction_may_each_prefer_another_transform_of_the_image(tmp_path: Path, ultralight: Command) -> None:
    image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 900, SHAPE[::-1]).astype(np.int16), None)
    image.set_sform(np.diag([2.0, 2, 2, 1]), 4)
    moved = np.diag([2.0, 2, 2, 1])
    moved[:3, 3] = (15, -30, 20)
    image.set_qform(moved, 1)
    image.to_filename(tmp_path / "scan.nii.gz")
    scan = read_image(tmp_path / "scan.nii.gz")
    labels = (scan.array > np.median(scan.array)).astype(np.uint8)
    prediction = Segmentation(labels, scan.affine, source=scan.source).save(tmp_path / "prediction.nii.gz")
    # As ITK, which prefers the qform, saves what is drawn on the image.
    drawn = Segmentation(labels[::-1], moved).save(tmp_path / "drawn.nrrd")
    done = ultralight(
        "corrections", "add", tmp_path / "store", "--image", tmp_path / "scan.nii.gz", "--labels", drawn, "--prediction", prediction
    )
    assert (done.code, done.err) == (0, "")
    assert "voxels changed" in done.out
