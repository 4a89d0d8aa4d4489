"""The work behind Save correction, as generators of events: comparing with what was predicted, and adding to a store. Free of Qt."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from ultralightunet.corrections import Checked, Revision, Store, Summary
from ultralightunet.errors import InputError, ModelError
from ultralightunet.events import Progress
from ultralightunet.models import images_seen, load_model

from ..layers.correction import Correction
from ..layers.packed import digest


@dataclass(frozen=True)
class Destination:
    """Where a correction goes, and what is said of it.

    Attributes:
        store: its folder.
        patient: the same text for all images of one patient, or None.
        modality: of the image, "" where the model does not tell.
        model: NAME@VERSION that made the labels, or that they are meant for; "" for none.
        confirmed: the user has said that there is nothing to correct, or nothing to label.
    """

    store: Path
    patient: str | None
    modality: str
    model: str
    confirmed: bool


def comparing(correction: Correction, checked: Checked) -> Generator[Progress, None, Summary | str]:
    """What a correction changes, or the sentence why that cannot be told."""
    yield Progress("Comparing", 0, 1)
    try:
        return correction.summary(checked)
    except InputError as error:
        # It is shown where the table would be; nobody asked for anything yet.
        return str(error)


def saving(correction: Correction, checked: Checked, to: Destination) -> Generator[Progress, None, str | tuple[Revision, Correction, str]]:
    """The correction as it was saved and the digest of its labels, or what the user has to confirm first: "same" or "empty"."""
    yield Progress("Saving", 0, 1)
    labels, prediction = correction.labels(), correction.prediction()
    if not to.confirmed:
        summary = correction.summary(checked)
        if prediction is not None and not summary.voxels_changed:
            return "same"
        if not any(change.voxels_after for change in summary.classes):
            return "empty"
    revision = Store(to.store).add(
        correction.picture.volume(),
        labels,
        prediction,
        checked=checked,
        patient_key=to.patient,
        classes=correction.classes,
        modality=to.modality,
        confirmed=to.confirmed,
        seen_in_training=_seen(to.model),
    )
    return revision, correction, digest(correction.data)


def _seen(model: str) -> frozenset[str]:
    """The images that a model was trained on, as far as it is known here."""
    try:
        return images_seen(load_model(model)) if model else frozenset()
    except ModelError:
        return frozenset()
