"""How the pixels of a DICOM file are stored, and whether all of them are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..limits import check_memory
from .elements import DicomData

_MOST_FRAMES = 100_000

_BYTES = {"FloatPixelData": 4, "DoubleFloatPixelData": 8}

HALVED = "YBR_FULL_422"
"""Colour with one pair of hues for two pixels, where it is not compressed."""

_COLOURS = ("RGB", "YBR_FULL", HALVED, "YBR_ICT", "YBR_RCT")
_GREYS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")


@dataclass(frozen=True)
class Layout:
    """How pixels are stored.

    Attributes:
        frames: how many.
        rows: of a frame.
        columns: of a frame.
        samples: 1, or 3 for colour.
        allocated: bits that a sample takes.
        stored: bits of these that count.
        high: the highest of these, from 0.
        signed: whether samples can be below zero.
        floating: whether samples are floating-point numbers.
        photometric: how samples become brightness or colour.
        planar: whether each colour has a plane of its own.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    floating: bool
    photometric: str
    planar: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame: (rows, columns) or (rows, columns, 3)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of a sample as it is stored, in this computer's order of bytes."""
        kind = "f" if self.floating else "i" if self.signed else "u"
        return np.dtype(f"{kind}{max(self.allocated // 8, 1)}")

    @property
    def frame_bits(self) -> int:
        """Bits that a frame takes where it is not packed."""
        samples = 2 if self.photometric == HALVED else self.samples
        return self.rows * self.columns * samples * self.allocated


def layout_of(data: DicomData) -> Layout:
    """How the pixels of a file are stored.

    Raises:
        InputError: if the header does not say, contradicts itself, or claims more or fewer pixels than the file has.
    """
    header, path = data.header, data.path
    if data.pixels is None:
        raise InputError(f"expected a DICOM image, found no pixels in {path}: it is cut off or no image; copy it again")
    size = _BYTES.get(data.pixels.name, 0)

    def whole(name: str, default: int | None = None) -> int:
        found = header.number(name, default=-1 if default is None or header.raw(name) else default)
        if found < 0 or found != int(found):
            raise InputError(f"expected a DICOM image, found no {name} in the header of {path}: it is damaged; copy it again")
        return int(found)

    allocated = 8 * size or whole("BitsAllocated")
    stored = 8 * size or whole("BitsStored", allocated)
    samples = whole("SamplesPerPixel", 1)
    layout = Layout(
        frames=whole("NumberOfFrames", 1),
        rows=whole("Rows"),
        columns=whole("Columns"),
        samples=samples,
        allocated=allocated,
        stored=stored,
        high=8 * size - 1 if size else whole("HighBit", stored - 1),
        signed=whole("PixelRepresentation", 0) == 1,
        floating=size > 0,
        photometric=header.text("PhotometricInterpretation") or ("MONOCHROME2" if samples == 1 else "RGB"),
        planar=whole("PlanarConfiguration", 0) == 1,
    )
    _check_kind(layout, path)
    if data.pixels.encapsulated:
        if layout.frames > max(len(data.pixels.extents) - 1, 0):
            raise _other_amount(layout, f"{len(data.pixels.extents) - 1} packed pieces", path)
        available = sum(length for _, length in data.pixels.extents)
        check_memory(layout.frame_bits // 8, available, path)
    else:
        _check_length(layout, data)
    return layout


def _check_kind(layout: Layout, path: Path) -> None:
    if not layout.rows or not layout.columns or not 0 < layout.frames <= _MOST_FRAMES:
        raise InputError(
            f"expected pixels, found {layout.frames} frame(s) of {layout.rows} x {layout.columns} in the header of {path}: it is damaged; "
            "copy it again"
        )
    known = _GREYS if layout.samples == 1 else _COLOURS if layout.samples == 3 else ()
    if layout.photometric not in known:
        raise InputError(
            f"expected grey, palette, RGB or YBR pixels, found {layout.photometric} with {layout.samples} sample(s) in {path}; "
            "export it as RGB"
        )
    if layout.photometric == HALVED and layout.columns % 2:
        raise InputError(f"expected pixels in pairs for {HALVED}, found {layout.columns} columns in {path}; export it as RGB")
    fits = 0 < layout.stored <= layout.allocated and layout.stored - 1 <= layout.high < layout.allocated
    if layout.allocated not in ((32, 64) if layout.floating else (1, 8, 16, 32)) or not fits:
        raise InputError(
            f"expected pixels of 1, 8, 16 or 32 bits, found {layout.stored} of {layout.allocated} up to bit {layout.high} in {path}: "
            "its header is damaged or unusual; export it with 16 bits"
        )


def _check_length(layout: Layout, data: DicomData) -> None:
    """Whether there are as many bytes as the header says; padding is allowed if it is empty and no longer than a row."""
    assert data.pixels is not None
    ((start, length),) = data.pixels.extents
    expected = (layout.frames * layout.frame_bits + 7) // 8
    padding = length - expected
    if padding > 1 and padding <= layout.frame_bits // layout.rows // 8:
        with data.open() as file:
            file.seek(start + expected)
            if not any(file.read(padding)):
                return
    if not 0 <= padding <= 1:
        raise _other_amount(layout, f"{length}", data.path, expected)


def _other_amount(layout: Layout, found: str, path: Path, expected: int | None = None) -> InputError:
    wanted = f"{layout.frames} frame(s) of {layout.rows} x {layout.columns}"
    wanted = f"{expected} bytes of pixels for {wanted}" if expected is not None else wanted
    return InputError(f"expected {wanted}, found {found} in {path}: it is cut off or its header damaged; copy it again")
