"""What the headers of DICOM files say about their images: which series, and where each frame is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Affine
from .formats import SUPPORTED_SUFFIXES, looks_like_dicom, suffix_of

_STORAGE = "1.2.840.10008.5.1.4.1.1."

_FRAME_BY_FRAME = {
    _STORAGE + tail for tail in ("2.1", "2.2", "4.1", "4.3", "4.4", "13.1.1", "13.1.2", "13.1.3", "30", "77.1.5.4", "128.1", "130")
}
"""Storage classes that say where each frame is in a sequence, which GDCM misreads where frames are out of order."""

_LABELS = {_STORAGE + "66.4", _STORAGE + "66.7"}
"""Segmentations: they have pixels, but are not images."""

_SCANS = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(2|4|128)(\.[124])?[\0\x08\x02]")
"""CT, MR and PET in a file's first bytes."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One 2D image of a file.

    Attributes:
        path: of the file.
        index: of the frame in the file.
        shape: rows, columns.
        colour: whether pixels have three values.
        axes: 3x2, LPS mm from one pixel to the next along i and along j.
        position: LPS mm of the first pixel, or None if the file does not say.
        thickness: mm, for an image of this frame alone.
        sized: whether `axes` are known, not assumed.
        order: sorts the frames that lie at one position.
        rescale: this frame's slope and intercept.
        applied: the slope and intercept that GDCM applies to it.
    """

    path: Path
    index: int
    shape: tuple[int, int]
    colour: bool
    axes: NDArray[np.float64]
    position: NDArray[np.float64] | None
    thickness: float = 1.0
    sized: bool = True
    order: tuple[float, ...] = ()
    rescale: tuple[float, float] = (1.0, 0.0)
    applied: tuple[float, float] = (1.0, 0.0)

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector at right angles to the image, right-handed with `axes`."""
        across = np.cross(self.axes[:, 0], self.axes[:, 1])
        return np.asarray(across / np.linalg.norm(across))

    @property
    def lps(self) -> Affine:
        """LPS affine of an image of this frame alone."""
        affine = np.eye(4)
        affine[:3, :2] = self.axes
        affine[:3, 2] = self.normal * self.thickness
        affine[:3, 3] = 0 if self.position is None else self.position
        return affine


@dataclass(frozen=True)
class DicomFile:
    """One file with an image.

    Attributes:
        path: of the file.
        series: Series Instance UID.
        description: of the series.
        instance: SOP Instance UID; copies of a file share it.
        frames: its images.
        modality: what made them, e.g. "CT".
    """

    path: Path
    series: str
    description: str
    instance: str
    frames: tuple[Frame, ...]
    modality: str = ""


def read_dicom_file(path: Path) -> DicomFile | None:
    """The header of a DICOM image, or None for any other file: no DICOM, a report, a directory, a segmentation.

    Raises:
        InputError: if it is an image that cannot be read: leaving a slice out would go unnoticed.
        OSError: if the file cannot be read at all.
    """
    if not looks_like_dicom(path):
        if SUPPORTED_SUFFIXES.get(suffix_of(path)) == "dicom":
            raise InputError(f"expected a DICOM file, found a damaged or other one {path}; copy the series again")
        return None
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if _ought_to_hold_an_image(path):
            raise InputError(
                f"expected a DICOM image, found a damaged one or an unknown compression in {path}; copy it again or decompress it"
            ) from error
        return None
    tags = _Tags(reader)
    if tags.text("0008|0016") in _LABELS:
        return None
    frames = _enhanced_frames(path, tags) if tags.text("0008|0016") in _FRAME_BY_FRAME else _classic_frames(path, tags)
    return DicomFile(path, tags.text("0020|000e"), tags.text("0008|103e"), tags.text("0008|0018"), tuple(frames), tags.text("0008|0060"))


def _ought_to_hold_an_image(path: Path) -> bool:
    data = path.read_bytes()
    return b"\xe0\x7f\x10\x00" in data or b"\x7f\xe0\x00\x10" in data or _SCANS.search(data[:2000]) is not None


class _Tags:
    """Values of a header that GDCM has read."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.columns, self.rows = reader.GetSize()[:2]
        self.frames = reader.GetSize()[2] if reader.GetDimension() > 2 else 1
        self.colour = reader.GetNumberOfComponents() >= 3

    def text(self, tag: str) -> str:
        if not self.reader.HasMetaDataKey(tag):
            return ""
        # Bytes that are not UTF-8 arrive as lone surrogates, which cannot be printed.
        raw = self.reader.GetMetaData(tag).encode("utf-8", "surrogateescape")
        return str(raw.decode("utf-8", "replace").strip(" \0"))

    def numbers(self, tag: str, count: int) -> NDArray[np.float64] | None:
        """The values, or None unless there are `count` finite ones."""
        try:
            values = np.array([float(value) for value in self.text(tag).split("\\")])
        except ValueError:
            return None
        return values if len(values) == count and np.isfinite(values).all() else None

    def number(self, *tags: str, default: float = 0.0) -> float:
        """The first of `tags` that is a number."""
        return next((float(found[0]) for tag in tags if (found := self.numbers(tag, 1)) is not None), default)


def _axes(orientation: Any, spacing: Any, path: Path) -> NDArray[np.float64]:
    """LPS mm from pixel to pixel along i and j, from the row's and column's direction and the spacing along j and i."""
    directions = np.reshape(orientation, (2, 3)).T.astype(np.float64)
    lengths = np.linalg.norm(directions, axis=0)
    if (abs(lengths - 1) > 0.01).any() or abs(directions[:, 0] @ directions[:, 1]) > 0.01:
        raise InputError(
            f"expected rows and columns at right angles, found the orientation {list(orientation)} in {path}; export the series again"
        )
    return np.asarray(directions / lengths * np.asarray(spacing, dtype=np.float64)[::-1])


def _classic_frames(path: Path, tags: _Tags) -> Iterator[Frame]:
    """Frames of a file that says in one place where it is; frames of a film without a distance between them have no position."""
    position, orientation = tags.numbers("0020|0032", 3), tags.numbers("0020|0037", 6)
    spacing = tags.reader.GetSpacing()
    known = [tags.numbers(tag, 2) for tag in ("0028|0030", "0018|1164")]
    sized = any(pair is not None and (pair > 0).all() for pair in known)
    step = tags.number("0018|0088", "0018|0050")
    placed = position is not None and orientation is not None and (tags.frames == 1 or step > 0)
    axes = _axes((1, 0, 0, 0, 1, 0) if orientation is None else orientation, (spacing[1], spacing[0]), path)
    for index in range(tags.frames):
        frame = Frame(
            path,
            index,
            (tags.rows, tags.columns),
            tags.colour,
            axes,
            position if placed else None,
            tags.number("0018|0050", "0018|0088") or 1.0,
            sized,
            (tags.number("0020|0100"), tags.number("0020|0012"), tags.number("0020|0013"), index),
        )
        if placed and index and position is not None:
            yield replace(frame, position=position + index * step * frame.normal)
        else:
            yield frame


def _enhanced_frames(path: Path, tags: _Tags) -> Iterator[Frame]:
    """Frames of a file that says of each where it is, in sequences that SimpleITK does not show."""
    try:
        import pydicom
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ImportError as error:
        raise InputError(
            f"expected one image a file, found an enhanced DICOM file {path}; install pydicom, or convert it to NIfTI"
        ) from error
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        shared = header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
        groups = [(own, shared[0]) for own in header.PerFrameFunctionalGroupsSequence]
        rescales = [_rescale(group) for group in groups]
        for index, group in enumerate(groups):
            content = _macro(group, "FrameContentSequence")
            measures = _macro(group, "PixelMeasuresSequence")
            place = _macro(group, "PlanePositionSequence")
            orientation = _macro(group, "PlaneOrientationSequence").get("ImageOrientationPatient", (1, 0, 0, 0, 1, 0))
            yield Frame(
                path,
                index,
                (tags.rows, tags.columns),
                tags.colour,
                _axes(orientation, measures.get("PixelSpacing", (1, 1)), path),
                np.array(place.ImagePositionPatient, dtype=np.float64).reshape(3) if "ImagePositionPatient" in place else None,
                float(measures.get("SliceThickness") or 1.0),
                "PixelSpacing" in measures,
                (float(content.get("TemporalPositionIndex", 0)), *_indices(content), index),
                rescales[index],
                rescales[0],
            )
    except (InvalidDicomError, BytesLengthException, AttributeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise InputError(
            f"expected a DICOM file that says where each frame is, found a damaged header in {path} ({error}); export it again"
        ) from error


def _macro(group: tuple[Any, Any], name: str) -> Any:
    """The one item of a functional group, the frame's own before the one that all frames share; an empty one if neither has it."""
    own, shared = group
    found = (part[name][0] for part in (own, shared) if part.get(name))
    return next(found, type(own)())


def _rescale(group: tuple[Any, Any]) -> tuple[float, float]:
    values = _macro(group, "PixelValueTransformationSequence")
    return float(values.get("RescaleSlope", 1)), float(values.get("RescaleIntercept", 0))


def _indices(content: Any) -> tuple[float, ...]:
    values = content.get("DimensionIndexValues") or ()
    return tuple(float(value) for value in (values if np.iterable(values) else (values,)))
