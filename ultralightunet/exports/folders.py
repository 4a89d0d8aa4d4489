"""Folders of images and labels: nnU-Net v2, the Medical Segmentation Decathlon, and plain NIfTI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..corrections import Revision
from ..corrections.dataset import dataset_facts, derived_name, is_partial, training_labels
from ..corrections.files import as_json
from ..corrections.layout import CHECKED, LABELS
from ..disk import write_new
from ..models import LabelClass
from .copies import copy_derived, copy_image, copy_of, write_array
from .tables import class_table


def write_nnunet(folder: Path, cases: Sequence[Revision], classes: Sequence[LabelClass]) -> Iterator[Revision]:
    """imagesTr, labelsTr and `dataset.json`; unknown voxels have the ignore label.

    `splits_final.json` has one fold, whose validation cases are those that are held out: nnU-Net takes it from the folder of the
    preprocessed dataset.
    """
    images, labels = folder / "imagesTr", folder / "labelsTr"
    images.mkdir()
    labels.mkdir()
    for revision in cases:
        copy_image(revision, [images / f"{revision.case}_{n:04d}.nii.gz" for n in range(revision.channels)])
        _labels_to_train_from(revision, classes, labels / f"{revision.case}.nii.gz")
        yield revision
    facts = dataset_facts(cases, classes)
    del facts["dataset"]
    write_new(folder / "dataset.json", as_json(facts))
    held_out = [revision.case for revision in cases if revision.role == "holdout"]
    train = [revision.case for revision in cases if revision.role == "train"]
    if held_out and train:
        write_new(folder / "splits_final.json", as_json([{"train": train, "val": held_out}]))


def write_msd(folder: Path, cases: Sequence[Revision], classes: Sequence[LabelClass]) -> Iterator[Revision]:
    """imagesTr, labelsTr and a `dataset.json` whose "training" names the pairs; an image of several channels has them as a fourth axis."""
    images, labels = folder / "imagesTr", folder / "labelsTr"
    images.mkdir()
    labels.mkdir()
    for revision in cases:
        _one_image(revision, images / f"{revision.case}.nii.gz")
        _labels_to_train_from(revision, classes, labels / f"{revision.case}.nii.gz")
        yield revision
    facts = dataset_facts(cases, classes)
    said: dict[str, Any] = {
        "name": "UltraLight corrections",
        "description": "Labels corrected by a person",
        "tensorImageSize": "4D" if cases[0].channels > 1 else "3D",
        "modality": facts["channel_names"],
        "labels": {str(index): name for name, index in facts["labels"].items()},
        "numTraining": len(cases),
        "numTest": 0,
        "training": [{"image": f"./imagesTr/{r.case}.nii.gz", "label": f"./labelsTr/{r.case}.nii.gz"} for r in cases],
        "test": [],
        "ultralight": facts["ultralight"],
    }
    write_new(folder / "dataset.json", as_json(said))


def write_nifti_folders(folder: Path, cases: Sequence[Revision], classes: Sequence[LabelClass]) -> Iterator[Revision]:
    """images and labels as they are, `checked` where not everything was checked, and `classes.tsv`."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for revision in cases:
        suffixes = [""] if revision.channels == 1 else [f"_{n:04d}" for n in range(revision.channels)]
        copy_image(revision, [folder / "images" / f"{revision.case}{suffix}.nii.gz" for suffix in suffixes])
        copy_of(revision, LABELS, folder / "labels" / f"{revision.case}.nii.gz")
        if CHECKED in revision.files:
            (folder / "checked").mkdir(exist_ok=True)
            copy_of(revision, CHECKED, folder / "checked" / f"{revision.case}.nii.gz")
        yield revision
    write_new(folder / "classes.tsv", class_table(classes))


def _labels_to_train_from(revision: Revision, classes: Sequence[LabelClass], target: Path) -> None:
    if is_partial(revision, classes):
        derived = revision.store / derived_name(revision.case, revision.number, len(classes))
        if copy_derived(revision, derived, target):
            return
        write_array(revision, training_labels(revision, classes, ignore=len(classes)), target)
    else:
        copy_of(revision, LABELS, target)


def _one_image(revision: Revision, target: Path) -> None:
    if revision.channels == 1:
        copy_image(revision, [target])
        return
    array = np.moveaxis(revision.image().array, -1, 0)
    # NIfTI counts axes: channels are the fourth, also of a picture.
    write_array(revision, array[:, np.newaxis] if array.ndim == 3 else array, target)
