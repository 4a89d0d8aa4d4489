"""Which corrections train a model and which are held out, and the classes that it is to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..corrections import Revision, Store
from ..corrections.classes import merged, named_classes
from ..errors import InputError
from ..models import LabelClass, Model, images_seen
from .prepared import UNKNOWN, Array


@dataclass(frozen=True)
class Selection:
    """What a store offers for the retraining of a model.

    Attributes:
        train: the latest correction of each case that trains.
        holdout: likewise of each case that is held out.
        set_aside: cases that the store holds out but that the model or an ancestor was trained on; they neither train nor measure.
        classes: those of the model, then those that are new.
    """

    train: tuple[Revision, ...]
    holdout: tuple[Revision, ...]
    set_aside: tuple[Revision, ...]
    classes: tuple[LabelClass, ...]


def select(store: Store, model: Model, *, new_classes: Sequence[LabelClass] = ()) -> Selection:
    """Sort the cases of a store by what they may be used for.

    Args:
        store: of corrections.
        model: that is to be retrained.
        new_classes: to be added; only names and colours are looked at.

    Raises:
        InputError: if there is nothing to train on, or the store is of another task.
    """
    if not store.exists:
        raise InputError(f"expected a store of corrections, found none at {store.folder}; save a correction first, or check the name")
    cases = store.cases()
    seen = images_seen(model)
    train = tuple(revision for revision in cases if revision.role == "train")
    if not train:
        held = f"{len(cases)} that are held out" if cases else "none"
        raise InputError(f"expected at least one correction to train on in {store.folder}, found {held}; save further corrections first")
    for revision in cases:
        if len(revision.shape) < model.spatial_dims:
            raise InputError(
                f"expected corrections in {model.spatial_dims}D for {model.name}, found {revision.name} in {len(revision.shape)}D; "
                "choose the store or the model of this task"
            )
    held_out = tuple(revision for revision in cases if revision.role == "holdout")
    return Selection(
        train,
        tuple(revision for revision in held_out if revision.image_sha256 not in seen),
        tuple(revision for revision in held_out if revision.image_sha256 in seen),
        _classes(store, model, new_classes),
    )


def _classes(store: Store, model: Model, new_classes: Sequence[LabelClass]) -> tuple[LabelClass, ...]:
    try:
        classes = merged(model.classes, store.classes)
    except InputError as error:
        raise InputError(f"expected the corrections in {store.folder} to have the classes of {model.name}, but: {error}") from error
    for new in new_classes:
        if any(new.name == entry.name for entry in classes):
            continue
        index = len(classes)
        color = named_classes([str(n) for n in range(index)])[index].color if new.color == LabelClass(0, "").color else new.color
        classes = (*classes, LabelClass(index, new.name, color, new.snomed))
    if len(classes) > 120:
        raise InputError(f"expected at most 120 classes in a retraining, found {len(classes)}; keep fewer classes in one model")
    return classes


def target_of(revision: Revision, classes: Sequence[LabelClass]) -> Array:
    """What a correction says, as `Prepared.target`: int16 on the image's grid.

    Raises:
        InputError: if its files are damaged.
    """
    target = as_known_to(revision.labels().labels.astype(np.int16), len(revision.classes), classes)
    checked = revision.checked()
    if checked is not None:
        target[~checked] = UNKNOWN
    return target


def as_known_to(target: Array, known: int, classes: Sequence[LabelClass]) -> Array:
    """Labels (changed in place) that were made when there were `known` classes: where more exist now, background may be one of those."""
    if known < len(classes):
        target[target == 0] = -known
    return target
