"""What the headers of DICOM files say about their images: which series, and where each frame is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...volume import Affine
from ..formats import SUPPORTED_SUFFIXES, looks_like_dicom, suffix_of
from .elements import DicomData, read_elements
from .layout import Layout, layout_of
from .marks import Mark, marks_of
from .spacing import PixelSize, pixel_size
from .tags import JPEG, JPEG_2000, PLAIN, RUN_LENGTHS, TAGS, WHOLE_SLIDE, other_than_image
from .values import Elements

_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


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
        marks: what tells frames at one position apart, by name.
        rescale: slope and intercept from stored to real values.
        note: what a person should know of the size of its pixels, "" if nothing.
    """

    path: Path
    index: int
    shape: tuple[int, int]
    colour: bool
    axes: NDArray[np.float64]
    position: NDArray[np.float64] | None
    thickness: float = 1.0
    sized: bool = True
    marks: Mapping[str, Mark] = field(default_factory=dict)
    rescale: tuple[float, float] = (1.0, 0.0)
    note: str = ""

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


@dataclass(frozen=True, eq=False)
class DicomFile:
    """One file with an image.

    Attributes:
        data: its elements.
        series: Series Instance UID.
        description: of the series.
        instance: SOP Instance UID; copies of a file share it.
        modality: what made it, e.g. "CT".
        frames: its images.
        obstacle: why its series cannot be read, "" if it can: the folder may hold others.
    """

    data: DicomData
    series: str
    description: str
    instance: str
    modality: str
    frames: tuple[Frame, ...]
    obstacle: str = ""

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.data.path


def read_dicom_file(path: Path) -> DicomFile | None:
    """The header of a DICOM image, or None for any other file: no DICOM, or one that `other_in` names.

    Raises:
        InputError: if it is an image that cannot be read: leaving a slice out would go unnoticed.
        OSError: if the file cannot be read at all.
    """
    if not looks_like_dicom(path):
        if SUPPORTED_SUFFIXES.get(suffix_of(path)) == "dicom":
            raise InputError(f"expected a DICOM file, found a damaged or other one {path}; copy the series again")
        return None
    data = read_elements(path, until=other_than_image)
    if _other(data):
        return None
    header, obstacle = data.header, _obstacle(data)
    read = _enhanced_frames if header.items("PerFrameFunctionalGroupsSequence") else _classic_frames
    return DicomFile(
        data=data,
        series=header.text("SeriesInstanceUID"),
        description=header.text("SeriesDescription"),
        instance=header.text("SOPInstanceUID"),
        modality=header.text("Modality"),
        frames=() if obstacle else tuple(read(data, layout_of(data))),
        obstacle=obstacle,
    )


def other_in(path: Path) -> str:
    """What a DICOM file is that is no image, e.g. "a report"; "" for an image, or no DICOM file.

    Raises:
        InputError: if it is damaged.
        OSError: if it cannot be read.
    """
    return _other(read_elements(path, until=other_than_image)) if looks_like_dicom(path) else ""


def _other(data: DicomData) -> str:
    sop_class = data.header.text("SOPClassUID") or data.header.text("MediaStorageSOPClassUID")
    if what := other_than_image(sop_class):
        return what
    is_standard = sop_class.startswith("1.2.840.10008.")
    return "" if data.pixels or is_standard or "Rows" in data.header else "something that its maker alone knows"


def _obstacle(data: DicomData) -> str:
    """Why the series that a file belongs to cannot be read, "" if it can."""
    header, path = data.header, data.path
    if data.pixels is not None and data.syntax not in PLAIN | JPEG | JPEG_2000 | {RUN_LENGTHS}:
        return (
            f"expected pixels stored plainly or as RLE, JPEG, JPEG-LS or JPEG 2000, found the transfer syntax {data.syntax} in {path}; "
            "decompress it, e.g. with dcmdjpeg or gdcmconv --raw"
        )
    if header.text("SOPClassUID") == WHOLE_SLIDE:
        return f"expected an image, found a slide of microscopy in tiles {path}; export the part that is to be segmented as TIFF"
    if "MOSAIC" in header.text("ImageType").split("\\"):
        return (
            f"expected one slice an image, found a mosaic of many slices in one picture {path}; "
            "convert the series to NIfTI with dcm2niix, or export it as enhanced DICOM"
        )
    return ""


def _axes(orientation: tuple[float, ...], size: PixelSize, path: Path) -> NDArray[np.float64]:
    """LPS mm from pixel to pixel along i and j, from the row's and column's direction and the spacing along j and i."""
    directions = np.reshape(orientation, (2, 3)).T.astype(np.float64)
    lengths = np.linalg.norm(directions, axis=0)
    if (abs(lengths - 1) > 0.01).any() or abs(directions[:, 0] @ directions[:, 1]) > 0.01:
        listed = ", ".join(f"{value:g}" for value in orientation)
        raise InputError(f"expected rows and columns at right angles, found the orientation {listed} in {path}; export the series again")
    return np.asarray(directions / lengths * np.asarray(size.size or (1.0, 1.0))[::-1])


def _classic_frames(data: DicomData, layout: Layout) -> Iterator[Frame]:
    """Frames of a file that says in one place where it is; those of a film have no position."""
    header = data.header
    position, orientation = header.numbers("ImagePositionPatient", 3), header.numbers("ImageOrientationPatient", 6)
    step = header.number("SpacingBetweenSlices", "SliceThickness")
    is_placed = bool(position and orientation) and (layout.frames == 1 or (step > 0 and not _is_film(data)))
    size, marks = pixel_size(header), marks_of((header,))
    first = Frame(
        path=data.path,
        index=0,
        shape=(layout.rows, layout.columns),
        colour=_is_coloured(layout),
        axes=_axes(orientation or _AXIAL, size, data.path),
        position=np.array(position) if is_placed else None,
        thickness=_positive(header.number("SliceThickness", "SpacingBetweenSlices")),
        sized=size.size is not None,
        rescale=_rescale((header,), data.path),
        note=size.note,
    )
    for index in range(layout.frames):
        place = None if first.position is None else first.position + index * step * first.normal
        yield replace(first, index=index, position=place, marks=marks | {"frame": (float(index),)})


def _is_film(data: DicomData) -> bool:
    """Whether the frames follow one another in time."""
    raw = data.header.raw("FrameIncrementPointer")
    times = (TAGS["FrameTime"][0], TAGS["FrameTimeVector"][0])
    return any(raw[:4] == np.array([tag >> 16, tag & 0xFFFF], data.order + "u2").tobytes() for tag in times)


def _enhanced_frames(data: DicomData, layout: Layout) -> Iterator[Frame]:
    """Frames of a file that says of each where it is."""
    header, path = data.header, data.path
    per_frame = header.items("PerFrameFunctionalGroupsSequence")
    shared = (*header.items("SharedFunctionalGroupsSequence"), Elements())[0]
    if len(per_frame) != layout.frames:
        raise InputError(
            f"expected a DICOM file that says where each of its {layout.frames} frames is, found {len(per_frame)} places in {path}: "
            "it is damaged; export it again"
        )
    for index, own in enumerate(per_frame):
        groups = (own, shared)
        measures = _macro(groups, "PixelMeasuresSequence")
        size = pixel_size(measures if "PixelSpacing" in measures else _macro(groups, "FramePixelDataPropertiesSequence"))
        position = _macro(groups, "PlanePositionSequence").numbers("ImagePositionPatient", 3)
        orientation = _macro(groups, "PlaneOrientationSequence").numbers("ImageOrientationPatient", 6)
        yield Frame(
            path=path,
            index=index,
            shape=(layout.rows, layout.columns),
            colour=_is_coloured(layout),
            axes=_axes(orientation or _AXIAL, size, path),
            position=np.array(position) if position else None,
            thickness=_positive(measures.number("SliceThickness")),
            sized=size.size is not None,
            marks=marks_of((*groups, header)) | {"frame": (float(index),)},
            rescale=_rescale((_macro(groups, "PixelValueTransformationSequence"), header), path),
            note=size.note,
        )


def _macro(groups: tuple[Elements, Elements], name: str) -> Elements:
    """The one item of a functional group, the frame's own before the one that all frames share; an empty one if neither has it."""
    return next((items[0] for part in groups if (items := part.items(name))), Elements())


def _is_coloured(layout: Layout) -> bool:
    return layout.samples == 3 or layout.photometric == "PALETTE COLOR"


def _rescale(places: tuple[Elements, ...], path: Path) -> tuple[float, float]:
    """Slope and intercept from the first of `places` that has one."""
    for place in places:
        if "RescaleSlope" in place or "RescaleIntercept" in place:
            slope = place.number("RescaleSlope", default=0.0 if "RescaleSlope" in place else 1.0)
            if slope == 0 or ("RescaleIntercept" in place and not place.numbers("RescaleIntercept", 1)):
                raise InputError(
                    f"expected a slope and an intercept for its values, found {place.text('RescaleSlope')!r} and "
                    f"{place.text('RescaleIntercept')!r} in {path}: its header is damaged; copy it again"
                )
            return slope, place.number("RescaleIntercept")
    return 1.0, 0.0


def _positive(thickness: float) -> float:
    return thickness if thickness > 0 else 1.0
