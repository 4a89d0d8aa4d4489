"""Medical images into napari: upright, to scale, with the file's own geometry kept beside them."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_warning
from numpy.typing import NDArray

from ultralightunet.io import SUPPORTED_SUFFIXES, base_name, is_dicom_folder
from ultralightunet.io.formats import looks_like_dicom, suffix_of
from ultralightunet.io.meaning import meaning_of
from ultralightunet.volume import Volume

from ..layers.derived import SAMPLE, sample_of
from ..layers.grid import KEY, Grid, LayerData
from .labels import labels_layer
from .series import read_all

MEDICAL_SUFFIXES = tuple(suffix for suffix, kind in SUPPORTED_SUFFIXES.items() if kind != "image")
"""Files that this plugin opens; napari itself opens pictures and TIFF."""

_AXES = ("z", "y", "x")


def get_reader(path: str | list[str] = ()) -> Callable[[str | list[str]], list[LayerData]] | None:  # type: ignore[assignment]
    """`read` if it can open `path` (one, or several), else None; none at all is what napari's command palette hands over."""
    paths = [path] if isinstance(path, str) else path
    return read if paths and all(_is_ours(Path(p)) for p in paths) else None


def read(path: str | list[str]) -> list[LayerData]:
    """An image layer for each image, or a labels layer for labels that say what they are; a folder with several DICOM series has several.

    Raises:
        InputError: if an image cannot be read.
    """
    paths = [path] if isinstance(path, str) else path
    return [layer for p in paths for layer in _layers(Path(p))]


def _layers(path: Path) -> Iterator[LayerData]:
    meaning = meaning_of(path)
    if meaning is not None or path.name.lower().endswith(".seg.nrrd"):
        yield labels_layer(path, meaning)
        return
    for image in _told(path):
        yield _image_layer(path, *image)


def _told(path: Path) -> Iterator[tuple[Volume, NDArray[Any] | None, str]]:
    """As `read_all`; what the user should know of an image is shown."""
    for volume, volumes, detail in read_all(path):
        for note in volume.notes:
            show_warning(f"{path.name}: {note}")
        yield volume, volumes, detail


def _is_ours(path: Path) -> bool:
    if path.is_dir():
        # A folder of folders is told to be one, with their names, when it is read.
        return is_dicom_folder(path) or any(is_dicom_folder(inner) for inner in path.iterdir() if inner.is_dir())
    if path.name.lower().endswith(MEDICAL_SUFFIXES):
        return True
    # DICOM files on a CD and from many archives have no suffix.
    return path.is_file() and not suffix_of(path) and looks_like_dicom(path)


def _image_layer(path: Path, volume: Volume, volumes: NDArray[Any] | None, detail: str) -> LayerData:
    grid = Grid.upright(volume)
    dims = len(grid.shape)
    data = grid.to_shown(volume.array) if volumes is None else grid.to_shown(volumes, leading=1)
    rgb = volume.channels == 3
    if volume.channels > 1 and not rgb:
        data = np.moveaxis(data, -1, 0)
    leading = data.ndim - rgb - dims
    name = base_name(path)
    first = data[..., 0] if rgb else data
    arguments: dict[str, Any] = {
        "name": f"{name} {detail}" if detail else name,
        "scale": (1.0,) * leading + (grid.shown_spacing if grid.has_spacing else (1.0,) * dims),
        "translate": (0.0,) * leading + (grid.shown_origin if grid.has_spacing else (0.0,) * dims),
        "units": ("pixel",) * leading + (("mm" if grid.has_spacing else "pixel"),) * dims,
        "axis_labels": (("channel", "t") if leading > 1 else ("t",) if volumes is not None else ("channel",))[:leading] + _AXES[-dims:],
        "metadata": {KEY: {**grid.to_metadata(), SAMPLE: sample_of(first, dims)}},
        "rgb": rgb,
    }
    if not rgb and (limits := _contrast_limits(data)):
        arguments["contrast_limits"] = limits
    return data, arguments, "image"


def _contrast_limits(data: NDArray[Any]) -> tuple[float, float] | None:
    """Grey values that leave out the rare bright voxels for which a head would be shown too dark."""
    step = max(1, round((data.size / 2e5) ** (1 / data.ndim)))
    sample = np.asarray(data[(slice(None, None, step),) * data.ndim])
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return None
    low, high = np.percentile(sample, (0.1, 99.8))
    return (float(low), float(high)) if high > low else None
