"""Labels from a file into napari: as labels, with their names and colours, upright like the scan that they belong to."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ultralightunet.io import base_name, read_labels
from ultralightunet.io.class_names import Meaning
from ultralightunet.volume import Volume

from ..layers.facts import OPENED, SAVED, class_colors
from ..layers.grid import KEY, Grid, LayerData
from ..layers.packed import digest


def labels_layer(path: Path, meaning: Meaning | None) -> LayerData:
    """A Labels layer of a file.

    Args:
        path: of the labels.
        meaning: what the file says of them; None for one of 3D Slicer's, whose reader finds its segments.

    Raises:
        InputError: if it cannot be read.
    """
    found = read_labels(path)
    classes, model = meaning if meaning is not None else (found.classes, "")
    found = replace(found, classes=classes or found.classes)
    grid = Grid.upright(Volume(found.labels, found.affine, has_spacing=found.has_spacing, source=found.source))
    data = np.array(grid.to_shown(found.labels), order="C")
    dims = data.ndim
    facts = {**grid.to_metadata(), "model": model, SAVED: digest(data), OPENED: True}
    if found.classes:
        facts["classes"] = [asdict(c) for c in found.classes]
    arguments = {
        "name": base_name(path),
        "scale": grid.shown_spacing if grid.has_spacing else (1.0,) * dims,
        "translate": grid.shown_origin if grid.has_spacing else (0.0,) * dims,
        "units": ("mm" if grid.has_spacing else "pixel",) * dims,
        "axis_labels": ("z", "y", "x")[-dims:],
        "metadata": {KEY: facts},
        "opacity": 0.6,
    }
    if found.classes:
        arguments["features"] = {"index": [c.index for c in found.classes], "class": [c.name for c in found.classes]}
        arguments["colormap"] = class_colors(found.classes)
    return data, arguments, "labels"
