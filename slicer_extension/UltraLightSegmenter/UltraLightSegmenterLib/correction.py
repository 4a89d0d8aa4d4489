"""What is kept of a segmentation, and how it is handed to the process that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .exchange import Exchange
from .pictures import Picture
from .problem import Problem
from .process import Facts
from .segmentations import classes_of, labels_of, patient_key, prediction_of, volume_of


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
    """

    segmentation: Any
    store: str
    model: str
    classes: Sequence[Facts] = ()
    checked: Callable[[Picture], Any] = field(default=lambda picture: None)
    confirmed: bool = False

    def hand_over(self, exchange: Exchange) -> tuple[list[Path], Facts]:
        """Write the arrays, with the volume and what the model had said.

        Returns:
            The files, and what the process is asked with.

        Raises:
            Problem: if the segmentation cannot be used.
        """
        node = self.segmentation
        if node is None:
            raise Problem("Expected a segmentation, found none; choose one under Correct, or click Segment")
        volume = volume_of(node)
        if volume is None:
            raise Problem(
                f"Expected the volume of {node.GetName()}, found that it is not in the scene; load it and choose it in the Segment Editor"
            )
        picture = Picture.of(volume)
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
        request = {
            "prediction": None,
            "checked": checked,
            **{name: str(path) for name, path in files.items()},
            "store": self.store,
            "affine": picture.affine.tolist(),
            "channels": picture.channels,
            "classes": [{key: entry[key] for key in ("index", "name", "color", "snomed")} for entry in classes],
            "model": self.model,
            "patient_key": patient_key(volume),
            "confirmed": self.confirmed,
        }
        return list(files.values()), request
