"""Files that hold more than one volume: time series, and folders with several DICOM series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ultralightunet.io import read_series
from ultralightunet.io.dicom import dicom_paths, read_dicom_file
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
    """Descriptions of the DICOM series in a folder, or on a CD, by their identifiers; empty for other files.

    Raises:
        InputError: if a DICOM file in it is damaged.
    """
    found = (read_dicom_file(file) for file in dicom_paths(path))
    return {file.series: file.description for file in found if file is not None}
