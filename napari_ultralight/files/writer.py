"""Labels out of napari, on the grid of the image that they were made on."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Labels

from ultralightunet.io import write_labels

from ..layers.conversion import segmentation_of
from ..layers.facts import note_saved
from ..layers.names import with_suffix
from ..layers.packed import digest
from ..layers.viewers import layers_everywhere
from ..parts.beside import beside_the_window


def write(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write one Labels layer; the file is read back and compared before this returns.

    napari's dialog hands over the name as it was proposed, often without a suffix: it then gets that of the image's format.

    Raises:
        InputError: if the labels are no image, e.g. a time series.
        OutputError: if the file cannot be written, or does not read back the same.
    """
    layers = list(layers_everywhere(napari.current_viewer()))
    images = [layer for layer in layers if isinstance(layer, Image)]
    made = segmentation_of(data, attributes, images)
    target = with_suffix(Path(path), made)
    written, saved = beside_the_window(lambda: (write_labels(made, target), digest(data)))
    for layer in layers:
        # What stands in a file is not lost, so nobody need be asked about it.
        if isinstance(layer, Labels) and layer.data is data:
            note_saved(layer, saved)
    return [str(written)]
