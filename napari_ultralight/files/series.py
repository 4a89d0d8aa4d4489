"""Files that hold more than one volume: time series, and folders with several DICOM series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ultralightunet.errors import InputError
from ultralightunet.io import read_image
from ultralightunet.io.dicom_headers import read_dicom_file
from ultralightunet.volume import Volume


def read_all(path: Path) -> Iterator[tuple[Volume, NDArray[Any] | None, str]]:
    """Each image at `path`: its (first) volume, all volumes (t, ...) of a time series or None, and what to call it beside the path's name.

    Raises:
        InputError: if there is none, or one is damaged.
    """
    series = series_in(path)
    if len(series) < 2:
        yield (*read_series(path), "")
        return
    for uid, description in series.items():
        yield (*read_series(path, series=uid), description or uid)


def series_in(path: Path) -> dict[str, str]:
    """Descriptions of the DICOM series in a folder by their identifiers; empty for a file.

    Raises:
        InputError: if a DICOM file in it is damaged.
    """
    if not path.is_dir():
        return {}
    found = (read_dicom_file(file) for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith("."))
    return {file.series: file.description for file in found if file is not None}


def read_series(path: Path, *, series: str | None = None) -> tuple[Volume, NDArray[Any] | None]:
    """One image, or the first volume and all volumes (t, ...) of a time series.

    Raises:
        InputError: if the image cannot be read.
    """
    try:
        return read_image(path, series=series), None
    except InputError as error:
        # Either this is a series, or it cannot be read at all: then the first reason is the one to tell.
        try:
            first = read_image(path, volume_index=0, series=series)
        except InputError:
            raise error from None
    return first, _nifti_volumes(path) if first.source.format == "nifti" else _volumes(path, series, first)


def _volumes(path: Path, series: str | None, first: Volume) -> NDArray[Any]:
    volumes = [first.array]
    while True:
        try:
            volumes.append(read_image(path, volume_index=len(volumes), series=series).array)
        except InputError as error:
            # The expected end; anything else is damage further on.
            if f"from 0 to {len(volumes) - 1}," not in str(error):
                raise
            return np.stack(volumes)


def _nifti_volumes(path: Path) -> NDArray[Any]:
    """All volumes (t, k, j, i) in one pass: a compressed file would be unpacked anew for each of them."""
    image: Any = nib.load(path)
    array: NDArray[Any] = np.asanyarray(image.dataobj)
    if array.dtype == np.float64 and image.header.get_data_dtype() != np.float64:
        array = array.astype(np.float32)
    return array.reshape((*array.shape[:3], -1), order="F").T
