"""What is derived from the corrections: the `dataset.json` that makes a store an nnU-Net v2 raw dataset.

nnU-Net takes the paths of images and labels from the key "dataset" (`get_filenames_of_train_images_and_targets`). What nobody checked
becomes its ignore label, which has to be the highest number: the labels with it are derived files with the number in their name, so that a
new class makes new ones and changes nothing that was saved.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..disk import replace_durably
from ..errors import InputError
from ..models import LabelClass
from .files import as_json, packed_nifti
from .records import LABELS, Revision

DATASET, DERIVED = "dataset.json", "derived"

_LOG = logging.getLogger(__name__)


def is_partial(revision: Revision, classes: Sequence[LabelClass]) -> bool:
    """Whether some of its voxels are unknown: not checked, or background from before the newest class existed."""
    return "checked" in revision.content or len(revision.classes) < len(classes)


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


def dataset_facts(store: Path, latest: Sequence[Revision], classes: Sequence[LabelClass]) -> dict[str, Any]:
    """What `dataset.json` says for the latest revision of each case and the classes of the store."""
    ignore = len(classes)
    partial = [revision for revision in latest if is_partial(revision, classes)]
    labels = _label_names(classes) | ({"ignore": ignore} if partial else {})
    channels = latest[0].channels if latest else 1
    modality = next((revision.modality for revision in latest if revision.modality), "") or "image"
    return {
        "channel_names": {str(n): modality if channels == 1 else f"{modality} {n}" for n in range(channels)},
        "labels": labels,
        "numTraining": len(latest),
        "file_ending": ".nii.gz",
        "dataset": {
            revision.case: {
                "images": [path.relative_to(store).as_posix() for path in revision.image_paths],
                "label": _derived_name(revision, ignore)
                if revision in partial
                else (revision.folder / LABELS).relative_to(store).as_posix(),
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


def derive(store: Path, latest: Sequence[Revision], classes: Sequence[LabelClass]) -> None:
    """Bring `dataset.json` and the derived labels up to date; a reader finds the old dataset or the new one, whole.

    A damaged correction is left out of it.

    Raises:
        OSError: if they cannot be written.
    """
    usable, wanted = [], set()
    for revision in latest:
        if is_partial(revision, classes):
            try:
                wanted.add(_derive_labels(store, revision, classes))
            except InputError as error:
                _LOG.warning("%s", error)
                continue
        usable.append(revision)
    facts = dataset_facts(store, usable, classes)
    if not is_current(store, facts):
        replace_durably(store / DATASET, as_json(facts))
    # Only what was derived is ever removed, and only once nothing speaks of it any more.
    for path in (store / DERIVED).glob("*-ignore*.nii.gz"):
        if path not in wanted:
            path.unlink(missing_ok=True)


def _derive_labels(store: Path, revision: Revision, classes: Sequence[LabelClass]) -> Path:
    path = store / _derived_name(revision, len(classes))
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        labels = training_labels(revision, classes, ignore=len(classes))
        replace_durably(path, packed_nifti(labels, revision.affine, has_spacing=revision.has_spacing))
    return path


def is_current(store: Path, facts: dict[str, Any]) -> bool:
    """Whether `dataset.json` says `facts`, and the labels that it names are there."""
    try:
        said = json.loads((store / DATASET).read_bytes())
        return bool(said == facts) and all((store / case["label"]).exists() for case in facts["dataset"].values())
    except (OSError, ValueError):
        return False


def _derived_name(revision: Revision, ignore: int) -> str:
    return f"{DERIVED}/{revision.case}-{revision.folder.name}-ignore{ignore}.nii.gz"


def _label_names(classes: Sequence[LabelClass]) -> dict[str, int]:
    """Names as nnU-Net wants them: all different, 0 is "background", and "ignore" is not a class."""
    names = {"background": 0}
    for entry in classes[1:]:
        taken = entry.name in names or entry.name == "ignore" or not entry.name
        names[f"{entry.name} {entry.index}".strip() if taken else entry.name] = entry.index
    return names
