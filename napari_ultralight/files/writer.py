"""Labels out of napari, on the grid of the image that they were made on."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Labels

from ultralightunet.io import write_labels

from ..layers.conversion import note_saved, segmentation_of
from ..layers.packed import digest


def write(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write one Labels layer; the file is read back and compared before this returns.

    Raises:
        InputError: if the labels are no image, e.g. a time series.
        OutputError: if the file cannot be written, or does not read back the same.
    """
    viewer = napari.current_viewer()
    layers = list(viewer.layers) if viewer else []
    images = [layer for layer in layers if isinstance(layer, Image)]
    written = write_labels(segmentation_of(data, attributes, images), Path(path))
    for layer in layers:
        # What stands in a file is not lost, so nobody need be asked about it.
        if isinstance(layer, Labels) and layer.data is data:
            note_saved(layer, digest(data))
    return [str(written)]
