"""What is derived from the corrections: the `dataset.json` that makes a store an nnU-Net v2 raw dataset.

nnU-Net takes the paths of images and labels from the key "dataset" (`get_filenames_of_train_images_and_targets`). What nobody checked
becomes its ignore label, which has to be the highest number: the labels with it are derived files with the number in their name, so that a
new class makes new ones and changes nothing that was saved.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..disk import make_folder, read_json, replace_durably
from ..errors import InputError
from ..models import LabelClass
from .files import packed_nifti
from .index import Entry
from .layout import CASES, DATASET, DERIVED, LABELS, image_names
from .records import Revision

_LOG = logging.getLogger(__name__)


Listed = Revision | Entry
"""What `dataset.json` takes to know of a correction."""


def is_partial(revision: Listed, classes: Sequence[LabelClass]) -> bool:
    """Whether some of its voxels are unknown: not checked, or background from before the newest class existed."""
    return revision.is_partly_checked or revision.class_count < len(classes)


def training_labels(revision: Revision, classes: Sequence[LabelClass], *, ignore: int) -> np.ndarray:
    """The labels of a revision with `ignore` wherever they are unknown.

    Raises:
        InputError: if its files are damaged.
    """
    labels = revision.labels().labels.astype(np.uint8 if ignore <= 255 else np.uint16)
    if len(revision.classes) < len(classes):
        # Nobody looked for the new class then; what has another label is known not to be of it.
        labels[labels == 0] = ignore
    checked = revision.checked()
    if checked is not None:
        labels[~checked] = ignore
    return labels


def dataset_facts(latest: Iterable[Listed], classes: Sequence[LabelClass]) -> dict[str, Any]:
    """What `dataset.json` says for the latest revision of each case and the classes of the store."""
    ignore = len(classes)
    latest = sorted(latest, key=lambda revision: revision.case)
    partial = {revision.case for revision in latest if is_partial(revision, classes)}
    labels = _label_names(classes) | ({"ignore": ignore} if partial else {})
    channels = latest[0].channels if latest else 1
    modality = next((revision.modality for revision in latest if revision.modality), "") or "image"
    images = image_names(channels)
    return {
        "channel_names": {str(n): modality if channels == 1 else f"{modality} {n}" for n in range(channels)},
        "labels": labels,
        "numTraining": len(latest),
        "file_ending": ".nii.gz",
        "dataset": {
            revision.case: {
                "images": [f"{CASES}/{revision.case}/{name}" for name in images],
                "label": derived_name(revision.case, revision.number, ignore)
                if revision.case in partial
                else f"{CASES}/{revision.case}/{revision.number:04d}/{LABELS}",
            }
            for revision in latest
        },
        # nnU-Net passes over what follows.
        "ultralight": {
            "schema_version": 1,
            "revisions": {revision.case: revision.number for revision in latest},
            "roles": {revision.case: revision.role for revision in latest},
            "groups": {revision.case: revision.group for revision in latest},
        },
    }


def derive(store: Path, latest: Sequence[Revision], classes: Sequence[LabelClass]) -> frozenset[str]:
    """Bring `dataset.json` and the derived labels up to date; a reader finds the old dataset or the new one, whole.

    Returns:
        The cases that are left out, because their labels are damaged.

    Raises:
        OSError: if they cannot be written.
    """
    usable, wanted, left_out = [], set(), set()
    for revision in latest:
        if is_partial(revision, classes):
            try:
                wanted.add(_derive_labels(store, revision, classes))
            except InputError as error:
                _LOG.warning("%s", error)
                left_out.add(revision.case)
                continue
        usable.append(revision)
    facts = dataset_facts(usable, classes)
    if not is_current(store, facts):
        replace_durably(store / DATASET, _as_lines(facts))
    # Only what was derived is ever removed, and only once nothing speaks of it any more.
    for path in (store / DERIVED).glob("*-ignore*.nii.gz"):
        if path not in wanted:
            path.unlink(missing_ok=True)
    return frozenset(left_out)


def derive_one(
    store: Path, latest: Mapping[str, Listed], classes: Sequence[LabelClass], revision: Revision, *, left_out: Collection[str]
) -> frozenset[str]:
    """As `derive`, where nothing but one revision is new and the classes are as many as before.

    Args:
        store: its folder.
        latest: of each case, without the new revision.
        classes: of the store.
        revision: that is new.
        left_out: as `derive` returned it.
    """
    dropped = set(left_out) - {revision.case}
    if is_partial(revision, classes):
        try:
            _derive_labels(store, revision, classes)
        except InputError as error:
            _LOG.warning("%s", error)
            dropped.add(revision.case)
    usable = [entry for case, entry in {**latest, revision.case: revision}.items() if case not in dropped]
    replace_durably(store / DATASET, _as_lines(dataset_facts(usable, classes)))
    before = latest.get(revision.case)
    if before is not None:
        (store / derived_name(before.case, before.number, len(classes))).unlink(missing_ok=True)
    return frozenset(dropped)


def is_current(store: Path, facts: dict[str, Any]) -> bool:
    """Whether `dataset.json` says `facts`, and the labels that it names are there."""
    try:
        said = read_json(store / DATASET, most=2**30)
        return bool(said == facts) and all((store / case["label"]).exists() for case in facts["dataset"].values())
    except (OSError, ValueError, RecursionError):
        return False


def derived_name(case: str, number: int, ignore: int) -> str:
    """Path, inside the store, of labels in which what is unknown has the number `ignore`."""
    return f"{DERIVED}/{case}-{number:04d}-ignore{ignore}.nii.gz"


def _derive_labels(store: Path, revision: Revision, classes: Sequence[LabelClass]) -> Path:
    path = store / derived_name(revision.case, revision.number, len(classes))
    if path.is_symlink() or not path.is_file():
        make_folder(path.parent, within=store)
        labels = training_labels(revision, classes, ignore=len(classes))
        replace_durably(path, packed_nifti(labels, revision.affine, has_spacing=revision.has_spacing))
    return path


def _as_lines(facts: Mapping[str, Any]) -> bytes:
    """JSON with a line for each entry, and for each case, whose names and paths hold no braces."""
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items() if name != "dataset")
    cases = json.dumps(facts["dataset"])[1:-1].replace("}, ", "},\n    ")
    return '{{\n{},\n  "dataset": {{\n    {}\n  }}\n}}\n'.format(",\n".join(lines), cases).encode()


def _label_names(classes: Sequence[LabelClass]) -> dict[str, int]:
    """Names as nnU-Net wants them: all different, 0 is "background", and "ignore" is not a class."""
    names = {"background": 0}
    for entry in classes[1:]:
        taken = entry.name in names or entry.name == "ignore" or not entry.name
        names[f"{entry.name} {entry.index}".strip() if taken else entry.name] = entry.index
    return names
