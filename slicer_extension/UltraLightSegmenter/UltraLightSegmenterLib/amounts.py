"""How much of each class was found, for a person."""

from __future__ import annotations

from typing import Any

import numpy as np
from slicer.i18n import tr as _

from .pictures import Picture
from .process import Facts


def amounts(labels: Any, picture: Picture, answer: Facts) -> str:
    """Millilitres in the world, through the volume's transform; pixels of a picture; "" where neither can be told or nothing was found.

    Args:
        labels: (k, j, i).
        picture: what was segmented.
        answer: of the process: "classes", and "volumes_ml" by the volume's own spacing, or None.
    """
    if picture.is_flat:
        counts = np.bincount(labels.ravel(), minlength=len(answer["classes"]))
        found = {entry["index"]: int(counts[entry["index"]]) for entry in answer["classes"]}
        unit = _("{name} {amount:,} pixels")
    else:
        scale, volumes = picture.world_scale(), answer["volumes_ml"]
        if scale is None or volumes is None:
            return ""
        found = {int(index): scale * volume for index, volume in volumes.items()}
        unit = _("{name} {amount:,.1f} ml")
    said = [unit.format(name=entry["name"], amount=found.get(entry["index"], 0)) for entry in answer["classes"] if entry["index"]]
    return ", ".join(text for text, entry in zip(said, answer["classes"][1:], strict=True) if found.get(entry["index"]))
