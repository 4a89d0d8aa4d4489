"""What is kept of a segmentation, and how it is handed to the process that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from .exchange import Exchange
from .pictures import Picture
from .problem import Problem
from .process import Facts
from .references import reference_of
from .segmentations import classes_of, facts_of, labels_of, prediction_of
from .studies import patient_key


@dataclass(frozen=True)
class Correction:
    """What is to be kept of a segmentation.

    Attributes:
        segmentation: the node.
        store: folder of the store.
        model: NAME@VERSION that made it, or that it is meant for.
        classes: of that model and of the store, background first.
        checked: makes a mask or slices by array axis of what was looked at, None for everything.
        confirmed: a person says that there is nothing to correct.
        volume: the volume that is chosen, for labels that this module did not make; see `reference_of`.
    """

    segmentation: Any
    store: str
    model: str
    classes: Sequence[Facts] = ()
    checked: Callable[[Picture], Any] = field(default=lambda picture: None)
    confirmed: bool = False
    volume: Any = None

    def hand_over(self, exchange: Exchange) -> tuple[list[Path], Facts, Picture]:
        """Write the arrays, with the volume and what the model had said.

        Returns:
            The files, what the process is asked with, and the image that the labels are kept with.

        Raises:
            Problem: if the segmentation cannot be used.
        """
        node = self.segmentation
        if node is None:
            raise Problem(_("Expected a segmentation, found none; choose one under Correct, or click Segment"))
        picture = reference_of(node, self.volume)
        classes = classes_of(node, self.classes)
        arrays = {"image": picture.array, "labels": labels_of(node, picture, classes)}
        prediction, checked = prediction_of(node, picture), self.checked(picture)
        if prediction is not None:
            arrays["prediction"] = prediction
        if isinstance(checked, np.ndarray):
            arrays["checked"] = checked
        files = {name: exchange.path(name) for name in arrays}
        for name, path in files.items():
            exchange.write(path, arrays[name])
        source = facts_of(node).get("image", {})
        request = {
            "has_spacing": source.get("has_spacing", True),
            "is_flat": source.get("is_flat", False),
            "prediction": None,
            "checked": checked,
            **{name: str(path) for name, path in files.items()},
            "store": self.store,
            "affine": picture.affine.tolist(),
            "channels": picture.channels,
            "classes": [{key: entry[key] for key in ("index", "name", "color", "snomed")} for entry in classes],
            "model": self.model,
            "patient_key": patient_key(picture.node),
            "confirmed": self.confirmed,
        }
        return list(files.values()), request, picture
