"""DICOM: a folder's series, or one file, as an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...volume import Source, Volume
from ..checks import chosen_volume
from ..formats import is_dicom_folder
from ..geometry import ras_from_lps
from ..limits import check_memory
from ..series import Series
from .headers import DicomFile, Frame, other_in, read_dicom_file
from .one_scan import check_one_scan, doubts_about
from .picture import PictureDecoder
from .pixels import FrameReader
from .stack import affine_of, arrange


def read_dicom(path: Path, *, volume_index: int | None = None, series: str | None = None) -> Volume:
    """The series in a folder, or one file: a volume sorted by position, or one slice (j, i); rescaled to its real units.

    Args:
        path: folder (its own files; those of folders in it only where it holds a `DICOMDIR`, as a CD does) or file.
        volume_index: which volume of a series that holds several at the same place (time points, echoes).
        series: Series Instance UID, needed where the folder holds several.

    Raises:
        InputError: if there is no image, or several series, or the slices make no evenly spaced volume.
    """
    files, volumes, told = _volumes(path, series)
    frames = volumes[chosen_volume(volume_index, len(volumes), path, told)]
    array = _pixels(frames, files, path)
    return Volume(_flat(array, frames), **_facts(frames, files, path))


def read_dicom_series(path: Path, *, series: str | None = None) -> Series:
    """All volumes of the series in a folder, or of one file.

    Args:
        path: as for `read_dicom`.
        series: as for `read_dicom`.

    Raises:
        InputError: as `read_dicom`.
    """
    files, volumes, _ = _volumes(path, series)
    arrays = [_flat(_pixels(frames, files, path), frames) for frames in volumes]
    return Series(np.stack(arrays), **_facts(volumes[0], files, path))


def _volumes(path: Path, series: str | None) -> tuple[dict[Path, DicomFile], list[list[Frame]], str]:
    """The files of a series, its volumes, and what tells these apart."""
    files = without_copies(_chosen(_files(path), path, series))
    obstacle = next((file.obstacle for file in files if file.obstacle), "")
    if obstacle:
        raise InputError(obstacle)
    check_one_scan(files, path)
    return {file.path: file for file in files}, *arrange([frame for file in files for frame in file.frames], path)


def _flat(array: NDArray[Any], frames: Sequence[Frame]) -> NDArray[Any]:
    return array[0] if len(frames) == 1 else array


def _facts(frames: Sequence[Frame], files: dict[Path, DicomFile], path: Path) -> dict[str, Any]:
    """What an image of these frames is beside its array."""
    used = dict.fromkeys(frame.path for frame in frames)
    return {
        "affine": ras_from_lps(affine_of(frames, path)),
        "channels": 3 if frames[0].colour else 1,
        "has_spacing": all(frame.sized for frame in frames),
        "source": Source(path, "dicom", {"modality": files[frames[0].path].modality}),
        "notes": (*sorted({frame.note for frame in frames if frame.note}), *doubts_about([files[path] for path in used])),
    }


def dicom_paths(path: Path) -> Iterator[Path]:
    """The files that may belong to the image at `path`: itself, those of a folder, and those of all folders in it if it is a CD's."""
    directory = path if path.is_dir() else path.parent
    is_cd = path.name.upper() == "DICOMDIR" or (path.is_dir() and any(file.name.upper() == "DICOMDIR" for file in path.iterdir()))
    if not path.is_dir() and not is_cd:
        yield path
        return
    for file in sorted(directory.rglob("*") if is_cd else directory.iterdir()):
        # Names that begin with a dot are what macOS leaves on foreign disks.
        if not file.name.startswith(".") and file.is_file():
            yield file


def _files(path: Path) -> list[DicomFile]:
    """Every DICOM image in the folder or file."""
    try:
        inside = list(dicom_paths(path))
        found = [file for file in map(read_dicom_file, inside) if file is not None]
        if not found:
            others = sorted({what for file in inside if (what := other_in(file))})
            only = f" but {', '.join(others)}" if others else ""
            raise InputError(f"expected a DICOM image, found none{only} in {path}; {_where_else(path)}")
    except OSError as error:
        raise InputError(f"expected files that can be read, found {path}: {error.strerror}; check its permissions") from error
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
    count = sum(max(len(file.frames), 1) for file in files)
    return f"{count} image{'' if count == 1 else 's'}"


def without_copies(files: list[DicomFile]) -> list[DicomFile]:
    """Each file once; two that share an identifier are copies only if their content is the same."""
    groups: dict[str, list[DicomFile]] = {}
    for file in files:
        groups.setdefault(file.instance, []).append(file)
    kept: dict[object, DicomFile] = {}
    for instance, group in groups.items():
        for file in group:
            kept.setdefault((instance, _digest(file)) if len(group) > 1 else file.path, file)
    return list(kept.values())


def _digest(file: DicomFile) -> bytes:
    with file.path.open("rb") as opened:
        digest = sha256()
        while part := opened.read(2**20):
            digest.update(part)
    return digest.digest()


def _pixels(frames: Sequence[Frame], files: dict[Path, DicomFile], path: Path) -> NDArray[Any]:
    """Pixels of the frames, one after the other along the first axis, in the smallest type that holds all of them."""
    stack: NDArray[Any] | None = None
    used = sum(file.stat().st_size for file in {frame.path for frame in frames})
    with PictureDecoder() as decoder, ExitStack() as opened:
        reader: FrameReader | None = None
        for position, frame in enumerate(frames):
            if reader is None or reader.data.path != frame.path:
                opened.close()
                reader = opened.enter_context(FrameReader(files[frame.path].data, decoder))
            plane = _compact(_rescaled(reader.read(frame.index), frame))
            if stack is None:
                check_memory(len(frames) * plane.nbytes, used, path)
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


def _rescaled(plane: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """Real values of stored ones; whole numbers stay whole where slope and intercept are."""
    slope, intercept = frame.rescale
    if frame.rescale == (1.0, 0.0) or frame.colour:
        return plane
    if plane.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer() and max(abs(slope), abs(intercept)) < 2**30:
        return plane.astype(np.int64) * int(slope) + int(intercept)
    return plane * slope + intercept


def _compact(plane: NDArray[Any]) -> NDArray[Any]:
    """The same values in as few bytes as hold them, 2 or 4 for those that were widened, and floating-point numbers in single precision."""
    if plane.dtype.kind == "f":
        return plane.astype(np.float32, copy=False)
    if plane.dtype.itemsize > 2:
        low, high = plane.min(), plane.max()
        for smaller in (np.int16, np.uint16, np.int32, np.uint32):
            if low >= np.iinfo(smaller).min and high <= np.iinfo(smaller).max:
                return plane.astype(smaller, copy=False)
    return plane
