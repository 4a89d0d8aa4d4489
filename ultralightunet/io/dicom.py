"""DICOM: a folder's series, or one file, as an image; pixels through GDCM (SimpleITK)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Source, Volume
from .dicom_headers import DicomFile, Frame, read_dicom_file
from .dicom_stack import arrange
from .formats import is_dicom_folder
from .geometry import ras_from_lps
from .itk import itk_reason, quiet_itk


def read_dicom(path: Path, *, volume_index: int | None = None, series: str | None = None) -> Volume:
    """The series in a folder, or one file: a volume sorted by position, or one slice (j, i); rescaled to its real units.

    Args:
        path: folder (its own files, not those of folders in it) or file.
        volume_index: which volume of a series that holds several at the same place (time points, echoes).
        series: Series Instance UID, needed where the folder holds several.

    Raises:
        InputError: if there is no image, or several series, or the slices make no evenly spaced volume.
    """
    files = _chosen(_files(path), path, series)
    unique = {file.instance or str(file.path): file for file in files}
    frames = [frame for file in unique.values() for frame in file.frames]
    ordered, lps = arrange(frames, path, volume_index)
    array = _pixels(ordered)
    channels = array.shape[-1] if ordered[0].colour else 1
    if len(ordered) == 1:
        array = array[0]
    return Volume(
        array, ras_from_lps(lps), channels, all(frame.sized for frame in ordered), Source(path, "dicom", {"modality": files[0].modality})
    )


def _files(path: Path) -> list[DicomFile]:
    """Every DICOM image in the folder or file."""
    try:
        # Names that begin with a dot are what macOS leaves on foreign disks.
        inside = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")) if path.is_dir() else [path]
        with quiet_itk():
            found = [file for file in map(read_dicom_file, inside) if file is not None]
    except OSError as error:
        raise InputError(f"expected files that can be read, found {path}: {error.strerror}; check its permissions") from error
    if not found:
        raise InputError(f"expected a DICOM image, found none in {path}; {_where_else(path)}")
    return found


def _where_else(path: Path) -> str:
    deeper = [folder.name for folder in sorted(path.iterdir()) if is_dicom_folder(folder)] if path.is_dir() else []
    if deeper:
        return f"give one of the folders in it: {', '.join(deeper[:10])}"
    return "give the folder that holds the series, or an image file such as .nii.gz"


def _chosen(files: list[DicomFile], path: Path, series: str | None) -> list[DicomFile]:
    """The files of one series."""
    groups: dict[str, list[DicomFile]] = {}
    for file in files:
        groups.setdefault(file.series, []).append(file)
    if series is None and len(groups) == 1:
        return files
    if series in groups:
        return groups[series]
    most = sorted(groups.items(), key=lambda group: -len(group[1]))
    listed = "; ".join(f"{uid} ({group[0].description or 'no description'}, {_images(group)})" for uid, group in most[:20])
    listed += f"; and {len(most) - 20} more" if len(most) > 20 else ""
    wanted = "one DICOM series" if series is None else f"the series {series}"
    raise InputError(f"expected {wanted}, found {len(groups)} in {path}: {listed}; choose one with --series UID")


def _images(files: list[DicomFile]) -> str:
    count = sum(len(file.frames) for file in files)
    return f"{count} image{'' if count == 1 else 's'}"


def _pixels(frames: Sequence[Frame]) -> NDArray[Any]:
    """Pixels of the frames, one after the other along the first axis, in the smallest type that holds all of them."""
    # Files of many frames are read once; files of one frame need not be kept.
    opened: dict[Path, NDArray[Any]] = {}
    stack: NDArray[Any] | None = None
    for position, frame in enumerate(frames):
        planes = opened[frame.path] if frame.path in opened else _read_planes(frame.path)
        if len(planes) > 1:
            opened[frame.path] = planes
        if frame.index >= len(planes):
            raise InputError(f"expected at least {frame.index + 1} frames, found {len(planes)} in {frame.path}; copy the series again")
        plane = _compact(_rescaled(planes[frame.index], frame))
        if stack is None:
            stack = np.empty((len(frames), *plane.shape), plane.dtype)
        if plane.shape != stack.shape[1:]:
            raise InputError(
                f"expected images of one size, found {plane.shape} after {stack.shape[1:]} at {frame.path}; give a folder with one scan"
            )
        if not np.can_cast(plane.dtype, stack.dtype, "safe"):
            both = np.result_type(plane.dtype, stack.dtype)
            stack = stack.astype(both if both.kind in "iu" else np.float32)
        stack[position] = plane
    assert stack is not None
    return stack


def _read_planes(path: Path) -> NDArray[Any]:
    """Pixels (frame, j, i) or (frame, j, i, channel) with the file's slope and intercept applied."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            image = reader.Execute()
    except RuntimeError as error:
        reason = itk_reason(error)
        raise InputError(
            f"expected a DICOM image, found a damaged one or an unknown compression in {path} ({reason}); copy it again or decompress it"
        ) from error
    array: NDArray[Any] = sitk.GetArrayFromImage(image)
    return array


def _rescaled(plane: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """GDCM applies the first frame's slope and intercept to every frame; undo that where this frame has its own."""
    if frame.rescale == frame.applied:
        return plane
    stored = (plane.astype(np.float64) - frame.applied[1]) / frame.applied[0]
    return stored * frame.rescale[0] + frame.rescale[1]


def _compact(plane: NDArray[Any]) -> NDArray[Any]:
    """The same values in 16 bits if they fit, else float32 for float64: GDCM widens whatever it rescales."""
    if plane.dtype.kind == "f":
        return plane.astype(np.float32, copy=False)
    if plane.dtype.itemsize > 2:
        for smaller in (np.int16, np.uint16):
            if plane.min() >= np.iinfo(smaller).min and plane.max() <= np.iinfo(smaller).max:
                return plane.astype(smaller)
    return plane
