"""Labels out of napari, on the grid of the image that they were made on."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image

from ultralightunet.io import write_labels

from ._layers import segmentation_of


def write(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write one Labels layer; the file is read back and compared before this returns.

    Raises:
        InputError: if the labels are no image, e.g. a time series.
        OutputError: if the file cannot be written, or does not read back the same.
    """
    viewer = napari.current_viewer()
    images = [layer for layer in viewer.layers if isinstance(layer, Image)] if viewer else []
    return [str(write_labels(segmentation_of(data, attributes, images), Path(path)))]
