"""DICOM segmentations, read by highdicom and pydicom: every labelled voxel lies where it was painted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import Command, sentence
from tests.corrections.cases import CLASSES, labels_on, save
from tests.io_files import dicom_series, rotation, write_nii
from ultralightunet import InputError, LabelClass, Segmentation
from ultralightunet.corrections import Store
from ultralightunet.exports import export
from ultralightunet.io import read_image

highdicom = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")

SHAPE = (6, 9, 11)
PATIENT = {"PatientBirthDate": "19520304", "StudyDate": "20240102", "AccessionNumber": "A4711", "PatientAge": "072Y", "StudyID": "S4711"}


def series(folder: Path, *, oblique: bool = False, reverse: bool = False, seed: int = 0, **tags: Any) -> np.ndarray:
    """A series whose files are named in no order."""
    random = np.random.default_rng(seed)
    stack = random.integers(0, 900, SHAPE).astype(np.uint16)
    axes = rotation(random) if oblique else np.eye(3)
    row, column = axes[:, 0], axes[:, 1]
    step = 2.5 * np.cross(row, column) * (-1 if reverse else 1)
    names = [f"{n}.dcm" for n in random.permutation(SHAPE[0])]
    dicom_series(folder, stack, orientation=(*row, *column), step=step, names=names, **(PATIENT | tags))
    return stack


def saved(store: Path, folder: Path, **options: Any) -> tuple[Store, Segmentation]:
    image = read_image(folder)
    labels = labels_on(image)
    # Something that no symmetry hides, and a slice without labels.
    labels.labels[:, 5:] = 0
    labels.labels[2] = 0
    found = Store(store)
    found.add(image, labels, labels_on(image, seed=9, model="abdomen@1.2.0"), patient_key="PID-4711", **options)
    return found, labels


def painted(labels: np.ndarray, lps: np.ndarray) -> dict[tuple[float, ...], int]:
    """Label of each labelled voxel by where it is, LPS mm; the last axis of `labels` is the first of the affine."""
    index = np.argwhere(labels)
    places = np.c_[index[:, ::-1], np.ones(len(index))] @ lps.T
    return {tuple(np.round(place[:3], 2) + 0.0): int(labels[tuple(i)]) for place, i in zip(places, index, strict=True)}


@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_every_voxel_lies_where_it_was_painted(tmp_path: Path, oblique: bool, reverse: bool) -> None:
    series(tmp_path / "scan", oblique=oblique, reverse=reverse)
    store, labels = saved(tmp_path / "store", tmp_path / "scan")
    out = export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path)
    (path,) = out.iterdir()
    theirs = highdicom.seg.segread(path).get_volume(combine_segments=True)
    flip = np.diag((-1.0, -1.0, 1.0, 1.0))
    # highdicom's axes are slices, rows, columns, and its affine takes them in that order.
    order = np.eye(4)[[2, 1, 0, 3]]
    assert painted(theirs.array, theirs.affine @ order) == painted(labels.labels, flip @ labels.affine)


def test_each_frame_refers_to_the_image_it_was_painted_on(tmp_path: Path) -> None:
    series(tmp_path / "scan", oblique=True, reverse=True)
    store, labels = saved(tmp_path / "store", tmp_path / "scan")
    out = export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path / "scan")
    image = read_image(tmp_path / "scan")
    headers = {str(h.SOPInstanceUID): h for h in map(pydicom.dcmread, (tmp_path / "scan").iterdir())}
    found = pydicom.dcmread(next(out.iterdir()))
    frames = np.atleast_3d(found.pixel_array)
    assert len(frames) == found.NumberOfFrames > 4
    for frame, facts in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        source = facts.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        number = facts.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        (k,) = (n for n, plane in enumerate(image.array) if (plane == headers[source].pixel_array).all())
        np.testing.assert_array_equal(frame, labels.labels[k] == number)
    assert found.StudyInstanceUID == "1.2.3"


def test_segments_are_named_and_the_patient_is_not(tmp_path: Path) -> None:
    series(tmp_path / "scan")
    store, _ = saved(tmp_path / "store", tmp_path / "scan")
    (path,) = export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path).iterdir()
    found = highdicom.seg.segread(path)
    liver, tumour = (found.get_segment_description(n) for n in (1, 2))
    assert (liver.segment_label, liver.segmented_property_type.value, tumour.segment_label) == ("liver", "10200004", "tumour")
    assert (liver.algorithm_type.value, liver.algorithm_identification.name) == ("SEMIAUTOMATIC", "abdomen")
    np.testing.assert_allclose(liver.RecommendedDisplayCIELabValue, highdicom.color.CIELabColor.from_rgb(*CLASSES[1].color).value, atol=1)
    assert found.PatientID == store.cases()[0].group
    blob = path.read_bytes()
    for secret in (b"Secret", b"4711", b"19520304", b"20240102", b"072Y"):
        assert secret not in blob


def test_what_was_checked_goes_along(tmp_path: Path) -> None:
    series(tmp_path / "scan")
    store, _ = saved(tmp_path / "store", tmp_path / "scan", checked={0: [1, 4]})
    (case,) = store.cases()
    out = export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path)
    mask = highdicom.seg.segread(out / f"{case.case}-checked.dcm").get_volume(combine_segments=True)
    assert int(mask.array.sum()) == 2 * 9 * 11


def test_series_are_matched_by_their_image_wherever_they_lie(tmp_path: Path) -> None:
    series(tmp_path / "study" / "b", seed=1, SeriesInstanceUID="1.2.3.5")
    series(tmp_path / "study" / "a", seed=0)
    store, _ = saved(tmp_path / "store", tmp_path / "study" / "a")
    saved(tmp_path / "store", tmp_path / "study" / "b")
    out = export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path / "study")
    assert {path.stem for path in out.iterdir()} == {revision.case for revision in store.cases()}
    for revision in store.cases():
        referred = pydicom.dcmread(out / f"{revision.case}.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID
        first = revision.image().array.flat[0] == read_image(tmp_path / "study" / "a").array.flat[0]
        assert referred == ("1.2.3.4" if first else "1.2.3.5")


def test_without_its_series_an_export_is_refused(tmp_path: Path, ultralight: Command) -> None:
    series(tmp_path / "scan")
    store, _ = saved(tmp_path / "store", tmp_path / "scan")
    export_it = ("export", store.folder, "-o", tmp_path / "out", "--format")
    assert "found no --dicom-source" in sentence(ultralight(*export_it, "dicom-seg"))
    (tmp_path / "empty").mkdir()
    assert f"found none whose image is that of {store.cases()[0].case}" in sentence(
        ultralight(*export_it, "dicom-seg", "--dicom-source", tmp_path / "empty")
    )
    assert "found none at" in sentence(ultralight(*export_it, "dicom-seg", "--dicom-source", tmp_path / "nothing"))
    assert "leave it out" in sentence(ultralight(*export_it, "nifti", "--dicom-source", tmp_path / "scan"))
    assert not (tmp_path / "out").exists()
    assert ultralight(*export_it, "dicom-seg", "--dicom-source", tmp_path / "scan").code == 0


def test_an_image_that_never_was_dicom_has_no_series(tmp_path: Path) -> None:
    series(tmp_path / "scan")
    store = Store(tmp_path / "store")
    save(store)
    with pytest.raises(InputError, match="found none whose image is that of"):
        export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path / "scan")


def test_labels_without_a_voxel_make_a_segmentation_too(tmp_path: Path, ultralight: Command) -> None:
    series(tmp_path / "scan")
    image = read_image(tmp_path / "scan")
    empty = write_nii(tmp_path / "empty.nii.gz", np.zeros(SHAPE, np.uint8), image.affine)
    add = ("corrections", "add", tmp_path / "store", "--image", tmp_path / "scan", "--labels", empty, "--classes", "liver", "--confirm")
    assert ultralight(*add).code == 0
    out = export(Store(tmp_path / "store"), tmp_path / "out", format="dicom-seg", dicom_source=tmp_path / "scan")
    assert not pydicom.dcmread(next(out.iterdir())).pixel_array.any()


# ---- what a segmentation may tell


def everything_filled(folder: Path) -> None:
    """Write a secret into every attribute of the dictionary that can hold one, into items of every sequence, and into private ones."""
    texts = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"}
    values = {"DA": "19470203", "DT": "19470203", "TM": "194702.03", "AS": "047Y", "CS": "DOE", "AE": "DOE"}
    kept = {"SpecificCharacterSet", "Modality", "PatientSex", "PhotometricInterpretation"}
    item = pydicom.Dataset()
    item.PatientID, item.PersonName, item.CodeMeaning, item.CodeValue, item.CodingSchemeDesignator = (
        "DOE-4711",
        "DOE^JOHN",
        "DOE",
        "1",
        "99DOE",
    )
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        for tag, (kind, _many, _, retired, keyword) in pydicom.datadict.DicomDictionary.items():
            # Neither groups of the file itself nor those of pixels.
            if not keyword or retired or keyword in header or keyword in kept or tag >> 16 in (0x0000, 0x0002, 0x5200, 0x7FE0, 0xFFFE):
                continue
            if kind == "SQ":
                setattr(header, keyword, pydicom.Sequence([item]))
            elif kind in texts:
                setattr(header, keyword, values.get(kind, "DOE^JOHN" if kind == "PN" else "DOE-4711"))
        block = header.private_block(0x0011, "DOE MEDICAL", create=True)
        block.add_new(1, "LO", "DOE-4711")
        header.save_as(path)


def told(dataset: Any) -> list[str]:
    """Every value in a data set and in the items of its sequences, as text."""
    found = []
    for element in dataset:
        found += [text for item in element.value for text in told(item)] if element.VR == "SQ" else [f"{element.keyword}={element.value}"]
    return found


def test_nothing_of_a_header_goes_along_but_what_may(tmp_path: Path) -> None:
    series(tmp_path / "scan")
    everything_filled(tmp_path / "scan")
    store, labels = saved(tmp_path / "store", tmp_path / "scan")
    (path,) = export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path / "scan").iterdir()
    found = pydicom.dcmread(path)
    assert [text for text in told(found) if "DOE" in text or "19470203" in text or "047Y" in text] == []
    assert b"DOE" not in path.read_bytes()
    assert not any(element.tag.is_private for element in found.iterall())
    assert highdicom.seg.segread(path).get_volume(combine_segments=True).array.sum() == labels.labels.sum()


def test_a_segmentation_that_goes_back_to_its_study_keeps_the_patient_where_that_is_asked_for(tmp_path: Path, ultralight: Command) -> None:
    patient = {"PatientName": "Müller^Jürgen", "PatientID": "4711", "OtherPatientIDs": "DOE", "SpecificCharacterSet": "ISO_IR 100"}
    series(tmp_path / "scan", **patient, OperatorsName="DOE^JOHN", InstitutionName="DOE")
    store, _ = saved(tmp_path / "store", tmp_path / "scan")
    command = ("export", store.folder, "-o", tmp_path / "out", "--format", "dicom-seg", "--dicom-source", tmp_path / "scan")
    result = ultralight(*command, "--keep-patient")
    assert result.code == 0
    assert "name the patient, as was asked for" in result.err
    found = pydicom.dcmread(next((tmp_path / "out").iterdir()))
    assert (str(found.PatientName), found.PatientID, found.SpecificCharacterSet) == ("Müller^Jürgen", "4711", "ISO_IR 192")
    for name, value in PATIENT.items():
        assert found.get(name) == (None if name == "PatientAge" else value), name
    assert [text for text in told(found) if "DOE" in text] == []


def test_keeping_the_patient_is_refused_where_nothing_would_come_of_it(tmp_path: Path, ultralight: Command) -> None:
    store = Store(tmp_path / "store")
    save(store)
    assert "expected --keep-patient with --format dicom-seg" in sentence(
        ultralight("export", store.folder, "-o", tmp_path / "out", "--format", "nifti", "--keep-patient")
    )


@pytest.mark.parametrize("charset", [None, "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 87"])
def test_a_class_has_its_name_in_any_language(tmp_path: Path, charset: str | None) -> None:
    series(tmp_path / "scan", **({"SpecificCharacterSet": charset} if charset else {}))
    image = read_image(tmp_path / "scan")
    names = ("Gefäß", "海馬", r"left\right", "x" * 70, "Опухоль")
    shown = ("Gefäß", "海馬", "left right", "x" * 64, "Опухоль")
    named = [LabelClass(n, name, (9, 9, 9), "10200004" if n % 2 else "") for n, name in enumerate(names, 1)]
    classes = (LabelClass(0, "background"), *named)
    labels = Segmentation((image.array % 6).astype(np.uint8), image.affine, classes)
    Store(tmp_path / "store").add(image, labels, None)
    (path,) = export(Store(tmp_path / "store"), tmp_path / "out", format="dicom-seg", dicom_source=tmp_path / "scan").iterdir()
    found = pydicom.dcmread(path)
    assert tuple(segment.SegmentLabel for segment in found.SegmentSequence) == shown
    meanings = [segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for segment in found.SegmentSequence]
    assert meanings == [shown[0], "Tissue", shown[2], "Tissue", shown[4]]


@pytest.mark.parametrize(("tag", "value"), [("SOPClassUID", "1.2.3.4.5.6.7"), ("SOPInstanceUID", "DOE^JOHN"), ("StudyInstanceUID", None)])
def test_an_image_that_nothing_can_refer_to_is_refused_in_a_sentence(tmp_path: Path, tag: str, value: str | None) -> None:
    series(tmp_path / "scan")
    store, _ = saved(tmp_path / "store", tmp_path / "scan")
    for number, path in enumerate((tmp_path / "scan").iterdir()):
        header = pydicom.dcmread(path)
        if value is None:
            delattr(header, tag)
        else:
            setattr(header, tag, f"{value} {number}" if tag == "SOPInstanceUID" else value)
        header.save_as(path, enforce_file_format=False)
    with pytest.raises(InputError, match="expected (an image with a|a series that|in .* the DICOM series)"):
        export(store, tmp_path / "out", format="dicom-seg", dicom_source=tmp_path / "scan")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan", "store"]
