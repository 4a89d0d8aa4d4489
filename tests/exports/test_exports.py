"""Exports of a store, read by other people's readers."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from tests.command import Command, sentence
from tests.corrections.cases import CLASSES, THREE, labels_on, mended, save, scan
from tests.corrections.test_nnunet import VERIFY
from tests.full_disk import full_disk
from tests.io_files import write_nii
from ultralightunet import InputError, LabelClass, OutputError, Segmentation
from ultralightunet.cli.export import FORMATS as TOLD
from ultralightunet.corrections import Revision, Store
from ultralightunet.events import Progress
from ultralightunet.exports import FORMATS, export, exporting
from ultralightunet.exports.terminology import terminology
from ultralightunet.io.geometry import agrees
from ultralightunet.models import load_model

COPIES = [name for name in FORMATS if name != "dicom-seg"]
"""Formats that need nothing but the store."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A whole case and one of which two slices were checked, both oblique."""
    found = Store(tmp_path / "store")
    save(found, 1, patient_key="PID-4711", modality="CT")
    found.add(scan(), labels_on(scan()), None, checked={0: [2, 3]})
    return found


def case(store: Store, *, partial: bool) -> Revision:
    (found,) = [revision for revision in store.cases() if (revision.checked() is not None) == partial]
    return found


def itk(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def with_ignore(revision: Revision) -> np.ndarray:
    checked = revision.checked()
    return revision.labels().labels if checked is None else np.where(checked, revision.labels().labels, 3)


def paths_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def pictures(folder: Path) -> Store:
    found = Store(folder)
    picture = scan(shape=(20, 30, 3), dtype=np.uint8, affine=np.eye(4), channels=3)
    found.add(picture, labels_on(picture), None)
    return found


# ---- each format


def test_nnunet_gets_its_folders(tmp_path: Path, store: Store) -> None:
    out = export(store, tmp_path / "out", format="nnunet")
    facts = json.loads((out / "dataset.json").read_text())
    assert "dataset" not in facts, "else nnU-Net would look for the store's paths"
    assert facts["labels"] == {"background": 0, "liver": 1, "tumour": 2, "ignore": 3}
    assert facts["numTraining"] == 2
    for revision in store.cases():
        np.testing.assert_array_equal(itk(out / "imagesTr" / f"{revision.case}_0000.nii.gz"), revision.image().array)
        np.testing.assert_array_equal(itk(out / "labelsTr" / f"{revision.case}.nii.gz"), with_ignore(revision))


@pytest.mark.parametrize("damage", ["gone", "cut short", "a bit", "more behind", "another thing", "a link"])
def test_labels_that_were_derived_are_exported_only_if_they_are_whole(tmp_path: Path, store: Store, damage: str) -> None:
    partial = case(store, partial=True)
    (derived,) = (store.folder / "derived").iterdir()
    blob = derived.read_bytes()
    derived.unlink()
    if damage == "a link":
        (tmp_path / "elsewhere.nii.gz").write_bytes(blob)
        derived.symlink_to(tmp_path / "elsewhere.nii.gz")
        with pytest.raises(InputError, match="leads out of it"):
            export(store, tmp_path / "out", format="nnunet")
        return
    flipped = blob[:60] + bytes([blob[60] ^ 4]) + blob[61:]
    others = {"cut short": blob[:-9], "a bit": flipped, "more behind": blob + b"\0", "another thing": b"labels"}
    if damage != "gone":
        derived.write_bytes(others[damage])
    export(store, tmp_path / "out", format="nnunet")
    found = np.asarray(nib.load(tmp_path / "out" / "labelsTr" / f"{partial.case}.nii.gz").dataobj).T
    np.testing.assert_array_equal(found, with_ignore(partial))


def test_nnunet_is_told_who_is_held_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    while {revision.role for revision in store.cases()} != {"train", "holdout"}:
        save(store, len(store.cases()))
    out = export(store, tmp_path / "out", format="nnunet")
    (fold,) = json.loads((out / "splits_final.json").read_text())
    assert fold == {"train": [r.case for r in store.cases("train")], "val": [r.case for r in store.cases("holdout")]}
    only = export(store, tmp_path / "only", format="nnunet", role="train")
    assert {path.name[:16] for path in (only / "labelsTr").iterdir()} == {r.case for r in store.cases("train")}
    assert not (only / "splits_final.json").exists()


@pytest.mark.slow
def test_nnunet_finds_nothing_wrong_with_an_export(tmp_path: Path, store: Store) -> None:
    python = os.environ.get("NNUNET_PYTHON", sys.executable)
    environment = {**os.environ, "nnUNet_raw": str(tmp_path), "OMP_NUM_THREADS": "1"}
    if subprocess.run([python, "-c", "import nnunetv2"], env=environment, capture_output=True, check=False).returncode:
        pytest.skip("needs nnunetv2, here or in the environment that NNUNET_PYTHON names")
    out = export(store, tmp_path / "out", format="nnunet")
    (tmp_path / "verify.py").write_text(VERIFY)
    command = [python, str(tmp_path / "verify.py"), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "verify_dataset_integrity Done" in done.stdout
    assert "Error" not in done.stdout


@pytest.mark.parametrize("kind", ["volumes", "pictures"])
def test_monai_reads_the_decathlon_layout(tmp_path: Path, store: Store, kind: str) -> None:
    data = pytest.importorskip("monai.data")
    transforms = pytest.importorskip("monai.transforms")
    if kind == "pictures":
        store = pictures(tmp_path / "pictures")
    out = export(store, tmp_path / "out", format="msd")
    pairs = data.load_decathlon_datalist(str(out / "dataset.json"), is_segmentation=True, data_list_key="training")
    assert data.load_decathlon_properties(str(out / "dataset.json"), "numTraining") == {"numTraining": len(store.cases())}
    assert len(pairs) == len(store.cases())
    for pair, revision in zip(pairs, store.cases(), strict=True):
        both = transforms.LoadImaged(keys=("image", "label"), image_only=True)(pair)
        image = revision.image().array
        # MONAI counts axes as the file does.
        expected = image.T if kind == "volumes" else np.moveaxis(image, -1, 0).T[:, :, np.newaxis]
        np.testing.assert_array_equal(np.asarray(both["image"]), expected)
        np.testing.assert_array_equal(np.asarray(both["label"]), with_ignore(revision).T)
        assert agrees(revision.affine, both["image"].affine.numpy(), revision.shape)


def test_bids_gets_labels_with_a_table_of_classes(tmp_path: Path, store: Store) -> None:
    out = export(store, tmp_path / "out", format="bids")
    described = json.loads((out / "dataset_description.json").read_text())
    assert (described["DatasetType"], described["GeneratedBy"][0]["Name"]) == ("derivative", "UltraLight")
    for revision in store.cases():
        subject, session = f"sub-{revision.group}", f"ses-{revision.case}"
        stem = f"{subject}_{session}_space-orig_desc-corrected_dseg"
        place = out / subject / session / "anat"
        np.testing.assert_array_equal(itk(place / f"{stem}.nii.gz"), revision.labels().labels)
        with (place / f"{stem}.tsv").open() as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        assert rows[1] == {"index": "1", "name": "liver", "color": "#c8503c", "snomed": "10200004"}
        assert rows[2]["snomed"] == "n/a"
        image = json.loads((place / f"{stem}.json").read_text())["SpatialReference"].removeprefix("bids::")
        np.testing.assert_array_equal(itk(out / image), revision.image().array)
        checked = place / f"{subject}_{session}_space-orig_desc-checked_mask.nii.gz"
        assert checked.exists() == (revision.checked() is not None)


def test_plain_nifti_keeps_labels_as_they_are(tmp_path: Path, store: Store) -> None:
    out = export(store, tmp_path / "out", format="nifti")
    partial = case(store, partial=True)
    for revision in store.cases():
        theirs = nib.load(out / "labels" / f"{revision.case}.nii.gz")
        np.testing.assert_array_equal(np.asarray(theirs.dataobj).T, revision.labels().labels)
        assert agrees(revision.affine, theirs.affine, revision.shape)
    assert [path.name for path in (out / "checked").iterdir()] == [f"{partial.case}.nii.gz"]
    np.testing.assert_array_equal(itk(out / "checked" / f"{partial.case}.nii.gz") != 0, partial.checked())


def test_slicer_gets_segments_with_names_colours_and_terminology(tmp_path: Path, store: Store) -> None:
    out = export(store, tmp_path / "out", format="seg-nrrd")
    for revision in store.cases():
        image, labels = (sitk.ReadImage(str(out / f"{revision.case}{end}")) for end in (".nrrd", ".seg.nrrd"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), revision.labels().labels)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), revision.image().array)
        assert labels.GetSize() == image.GetSize()
        for corner in ((0, 0, 0), (9, 7, 5)):
            lps = revision.affine @ (*corner, 1) * (-1, -1, 1, 1)
            np.testing.assert_allclose(labels.TransformIndexToPhysicalPoint(corner), lps[:3], atol=1e-6)
    said = {key: labels.GetMetaData(key) for key in labels.GetMetaDataKeys()}
    assert (said["Segment0_ID"], said["Segment0_Name"], said["Segment0_LabelValue"], said["Segment0_Layer"]) == (
        "Segment_1",
        "liver",
        "1",
        "0",
    )
    assert said["Segment1_Name"] == "tumour"
    np.testing.assert_allclose([float(v) for v in said["Segment0_Color"].split()], np.array((200, 80, 60)) / 255, atol=1e-5)
    assert said["Segment0_Extent"] == "0 9 0 7 0 5"
    assert "~SCT^10200004^liver~" in said["Segment0_Tags"]
    assert said["Segmentation_MasterRepresentation"] == "Binary labelmap"
    checked = case(store, partial=True)
    np.testing.assert_array_equal(itk(out / f"{checked.case}-checked.seg.nrrd") != 0, checked.checked())


def test_a_name_cannot_break_slicers_terminology() -> None:
    entry = terminology(LabelClass(1, "left~lobe^a|b", snomed="123"))
    assert entry.count("~") == 6
    assert "SCT^123^left lobe a b" in entry
    assert terminology(LabelClass(1, "liver")).count("^Tissue") == 2


@pytest.mark.parametrize("model", ["polyp", "breast-lesion"])
def test_what_a_disease_made_is_no_anatomical_structure(model: str) -> None:
    entry = load_model(model).classes[1]
    assert terminology(entry).split("~")[1:3] == [
        "SCT^49755003^Morphologically Altered Structure",
        f"SCT^{entry.snomed}^{entry.name}",
    ]


def test_an_organ_is_an_anatomical_structure() -> None:
    assert terminology(load_model("brain").classes[1]).split("~")[1] == "SCT^123037004^Anatomical Structure"


def test_a_sheared_scan_is_refused_by_slicers_format_and_kept_by_nifti(tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[1, 2] = 0.3
    image = scan(affine=sheared)
    store = Store(tmp_path / "store")
    store.add(image, labels_on(image), None)
    with pytest.raises(OutputError, match="expected axes at right angles"):
        export(store, tmp_path / "slicer", format="seg-nrrd")
    out = export(store, tmp_path / "nifti", format="nifti")
    np.testing.assert_allclose(nib.load(next((out / "images").iterdir())).affine, sheared, atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nifti", "store"]


# ---- all formats


@pytest.mark.parametrize("format", COPIES)
def test_every_format_takes_pictures_and_classes_that_came_later(tmp_path: Path, format: str) -> None:
    assert paths_in(export(pictures(tmp_path / "pictures"), tmp_path / "a", format=format))
    store = Store(tmp_path / "store")
    save(store)
    store.add(scan(2), labels_on(scan(2), classes=THREE), None)
    out = export(store, tmp_path / "b", format=format)
    if format == "nnunet":
        labels = json.loads((out / "dataset.json").read_text())["labels"]
        assert labels == {"background": 0, "liver": 1, "tumour": 2, "vessel": 3, "ignore": 4}


@pytest.mark.parametrize("format", COPIES)
def test_no_export_tells_who_the_patient_is_or_changes_the_store(tmp_path: Path, store: Store, format: str) -> None:
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    out = export(store, tmp_path / "out", format=format)
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before
    for path in out.rglob("*"):
        blob = path.read_bytes() if path.is_file() else b""
        assert b"4711" not in path.name.encode() + blob
        assert str(tmp_path).encode() not in blob


@pytest.mark.parametrize("format", COPIES)
def test_a_damaged_correction_or_a_full_disk_leaves_nothing_half_written(tmp_path: Path, store: Store, format: str) -> None:
    with full_disk(100), pytest.raises(OutputError, match="expected"):
        export(store, tmp_path / "out", format=format)
    path = case(store, partial=False).folder / "labels.nii.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(InputError, match="labels.nii.gz"):
        export(store, tmp_path / "out", format=format)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_closing_an_export_leaves_nothing(tmp_path: Path, store: Store) -> None:
    work = exporting(store, tmp_path / "out", format="nifti")
    assert next(work) == Progress("Exporting", 0, 2)
    assert next(work) == Progress("Exporting", 1, 2)
    work.close()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_folder_with_other_things_and_an_empty_store_are_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(OutputError, match="expected a new or empty folder"):
        export(store, store.folder, format="nifti")
    with pytest.raises(InputError, match="expected a format nnunet, msd"):
        export(store, tmp_path / "out", format="zip")
    with pytest.raises(InputError, match="expected corrections in"):
        export(Store(tmp_path / "none"), tmp_path / "out", format="nifti")
    (tmp_path / "out").mkdir()
    assert paths_in(export(store, tmp_path / "out", format="nifti"))


# ---- the command


def test_the_command_exports_and_tells_where(tmp_path: Path, ultralight: Command, store: Store) -> None:
    assert tuple(FORMATS) == TOLD
    done = ultralight("export", store.folder, "-o", tmp_path / "out", "--format", "msd")
    assert (done.code, done.out, done.err) == (0, f"{store.folder} -> {tmp_path / 'out'}\n", "")
    *progress, result = ultralight("export", store.folder, "-o", tmp_path / "more", "--format", "bids", "--json").events
    assert [event["done"] for event in progress] == [0, 1, 2]
    assert result == {"event": "result", "folder": str(tmp_path / "more"), "format": "bids", "cases": 2}
    assert "expected a new or empty folder" in sentence(ultralight("export", store.folder, "-o", tmp_path / "out", "--format", "msd"))
    assert "found none at" in sentence(ultralight("export", tmp_path / "no", "-o", tmp_path / "new", "--format", "msd"))


def test_what_was_added_on_the_command_line_comes_out_again(tmp_path: Path, ultralight: Command) -> None:
    image = scan(dtype=np.float32)
    labels = Segmentation(mended(labels_on(image)).labels, image.affine, CLASSES)
    files = write_nii(tmp_path / "scan.nii.gz", image.array, image.affine), labels.save(tmp_path / "labels.nrrd")
    ultralight("corrections", "add", tmp_path / "store", "--image", files[0], "--labels", files[1], "--classes", "liver,tumour")
    ultralight("export", tmp_path / "store", "-o", tmp_path / "out", "--format", "nifti")
    (found,) = (tmp_path / "out" / "labels").iterdir()
    scores = ultralight("evaluate", found, files[1], "--json").events
    assert {event["dice"] for event in scores} == {1.0}
