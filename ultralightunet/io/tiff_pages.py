"""Which pages of a TIFF make its picture, and their pixels as a person is meant to see them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tifffile import PHOTOMETRIC

from ..errors import InputError
from .packed import read_array
from .pictures import pixels
from .quiet import quiet_stderr
from .tiff_size import ome_pixels
from .tiff_strips import is_readable, read_page

_REDUCED, _MASK = 1, 4
"""Bits of a page's kind (tag 254) that is a smaller copy of another, or says where that is transparent."""

_PHOTOMETRIC = 262
_KINDS = {256: 0, 257: 0, 258: 1, 259: 1, _PHOTOMETRIC: 0, 277: 1, 284: 1, 317: 1, 339: 1}
"""Tags of size, numbers, compression and colours, which all pages of a stack have in common, and their usual values."""

_SHOWN = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE)
_CONVERTED = {PHOTOMETRIC.SEPARATED: 4, PHOTOMETRIC.YCBCR: 3, PHOTOMETRIC.CIELAB: 3}
"""Other colours of 8 bits, which Pillow makes RGB of, and how many samples they have."""
_ALPHA = (1, 2)
"""Kinds of a further sample that says how much a pixel covers; any other is a value of its own."""

_PLANES = 2
"""Number of the configuration in which each colour has a plane of its own."""

_JPEG_OR_FAX = (2, 3, 4, 6, 7, 32771)
"""Compressions of 8 or 1 bits, which Pillow unpacks without loss of its own."""


@dataclass(frozen=True, eq=False)
class Pages:
    """The pages that make a picture or a stack.

    Attributes:
        file: that they are in.
        first: what they have in common.
        frames: their strips, one after the other along the first axes.
        axes: letters of `shape`, tifffile's.
        shape: of all of them together.
        offset: where their pixels begin if they lie one after the other as they are, else None.
    """

    file: tifffile.TiffFile
    first: Any
    frames: Sequence[Any]
    axes: str
    shape: tuple[int, ...]
    offset: int | None

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels in memory."""
        return prod(self.shape) * (self.first.dtype.itemsize if self.first.dtype is not None else 1)

    @property
    def is_packed(self) -> bool:
        """Whether the pixels take fewer bytes in the file than in memory: compressed ones, and bits."""
        return int(self.first.compression) != 1 or self.first.bitspersample < 8 * self.first.dtype.itemsize


def pages_of(file: tifffile.TiffFile, path: Path) -> Pages:
    """All pages but smaller copies and masks.

    Raises:
        InputError: if they differ in size or kind, or not all of them are in the file.
        ValueError: if the file is damaged.
    """
    kinds = list(_kinds(file))
    if len(set(kinds)) > 1:
        sizes = sorted({f"{width}x{height}" for width, height, *_ in kinds})
        raise InputError(
            f"expected pages of one size and kind, found {len(kinds)} of {len(set(kinds))} kinds ({', '.join(sizes)}) in {path}; "
            "save the pages that are to be segmented in a file of their own"
        )
    series = [one for one in file.series if not int(one.keyframe.subfiletype) & (_REDUCED | _MASK)] or list(file.series[:1])
    first = series[0]
    if any((one.shape, one.axes, one.dtype) != (first.shape, first.axes, first.dtype) for one in series):
        raise InputError(
            f"expected one picture or stack, found {len(series)} of several sizes or kinds in {path}; save the one that is to be segmented"
        )
    frames = [page for one in series for page in one.pages]
    if any(page is None or page.parent is not file for page in frames):
        raise InputError(f"expected a whole picture, found one that goes on in other files at {path}; save it as one file")
    _check_count(file, first, path)
    if len(series) == 1:
        return Pages(file, first.keyframe, frames, first.axes, first.shape, first.dataoffset)
    return Pages(file, first.keyframe, frames, "I" + first.axes, (len(series), *first.shape), None)


def _kinds(file: tifffile.TiffFile) -> Iterator[tuple[int, ...]]:
    """For each page that counts, the values that all pages have in common: those of `_KINDS`.

    Raises:
        ValueError: if pages go round in a circle, which tifffile would follow for ever, or some are cut off.
    """
    layout, handle = file.tiff, file.filehandle
    seen: set[int] = set()
    offset = file.pages.first.offset
    while offset:
        if offset in seen:
            raise ValueError("its pages go round in a circle")
        seen.add(offset)
        handle.seek(offset)
        (count,) = struct.unpack(layout.tagnoformat, _exactly(handle, layout.tagnosize))
        raw = _exactly(handle, count * layout.tagsize + layout.offsetsize)
        entries = (raw[at : at + layout.tagsize] for at in range(0, count * layout.tagsize, layout.tagsize))
        values = dict(_single(entry, file) for entry in entries)
        if not values.get(254, 0) & (_REDUCED | _MASK):
            yield tuple(values.get(tag, usual) for tag, usual in _KINDS.items())
        (offset,) = struct.unpack(layout.offsetformat, raw[count * layout.tagsize :])


def _single(entry: bytes, file: tifffile.TiffFile) -> tuple[int, int]:
    """Number and value of a tag; value 0 for one that has several, or other than whole numbers."""
    width = file.tiff.offsetsize
    tag, kind = struct.unpack(file.byteorder + "HH", entry[:4])
    (count,) = struct.unpack(file.tiff.offsetformat, entry[4 : 4 + width])
    number = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind, "")
    if count != 1 or not number:
        return tag, 0
    return tag, struct.unpack_from(file.byteorder + number, entry, 4 + width)[0]


def _exactly(handle: tifffile.FileHandle, length: int) -> bytes:
    found = handle.read(length)
    if len(found) < length:
        raise ValueError("its pages are cut off")
    return found


def _check_count(file: tifffile.TiffFile, series: Any, path: Path) -> None:
    """Whether there are as many pictures as ImageJ or OME noted."""
    noted = file.imagej_metadata or {}
    expected = prod(int(noted.get(name, 1)) for name in ("frames", "slices", "channels"))
    found = prod(series.shape) // (series.keyframe.imagewidth * series.keyframe.imagelength)
    if expected > max(found, 1):
        raise InputError(f"expected {expected} pictures as ImageJ noted, found {found} in {path}: it is cut off; copy or export it again")
    if ome_pixels(file) and series.kind != "ome":
        raise InputError(
            f"expected the pictures that its OME notes tell of, found others in {path}: it is damaged; copy or export it again"
        )


def pixels_of(pages: Pages, path: Path, *, as_labels: bool) -> tuple[NDArray[Any], str]:
    """Pixels of all pages, and letters for their axes.

    Args:
        pages: of the file.
        path: of the file.
        as_labels: keep a palette's indices and a 1-bit picture's 0 and 1.

    Raises:
        InputError: for colours or a compression that would not be shown as they are.
        ValueError: if the file is damaged.
    """
    page, handle = pages.first, pages.file.filehandle
    table = () if page.colormap is None else page.colormap.shape
    wanted = (3, 2**page.bitspersample) if page.photometric == PHOTOMETRIC.PALETTE else ()
    if table != wanted or (_PHOTOMETRIC not in page.tags and page.samplesperpixel > 1):
        raise ValueError("it does not say what its colours mean")
    if page.photometric in _SHOWN and pages.offset is not None and page.dtype.kind in "iuf":
        array = _contiguous(handle, pages)
    elif page.photometric in _SHOWN and is_readable(page):
        array = np.stack([read_page(handle, page, frame) for frame in pages.frames]).reshape(pages.shape)
    elif _is_exact_in_pillow(page):
        return _through_pillow(pages, path, as_labels)
    else:
        kind = f"{page.samplesperpixel} x {page.bitspersample} bits ({page.dtype or 'of an unknown kind'}), {_name(page.compression)}"
        raise InputError(
            "expected grey or RGB, plain or packed with deflate, LZW, LZMA or PackBits, found "
            f"{_name(page.photometric)} of {kind}, in {path}; save it as RGB without compression"
        )
    return _coloured(array, pages, as_labels)


def left_out(pages: Pages) -> str:
    """What a person should know of planes and samples that may be no colours, "" if nothing: some writers take 3 or 4 slices for these."""
    if pages.first.photometric != PHOTOMETRIC.RGB:
        return ""
    if int(pages.first.planarconfig) == _PLANES:
        return (
            f"its {pages.first.samplesperpixel} planes were taken for colours, as its header says; "
            "if they are slices, save them as pages (tifffile: photometric='minisblack')"
        )
    others = sum(int(kind) not in _ALPHA for kind in pages.first.extrasamples)
    return f"it has {others} sample(s) beyond red, green and blue that are no alpha; these were passed over" if others else ""


def _name(value: Any) -> str:
    return str(getattr(value, "name", value)).replace("_", " ").lower()


def _contiguous(handle: tifffile.FileHandle, pages: Pages) -> NDArray[Any]:
    noted, page = sum(pages.first.databytecounts), pages.first
    if noted not in (page.nbytes, pages.nbytes):
        raise ValueError(f"its strips hold {noted} bytes where its size makes {page.nbytes}")
    handle.seek(pages.offset or 0)
    return read_array(cast("IO[bytes]", handle), page.dtype.newbyteorder(pages.file.byteorder), prod(pages.shape)).reshape(pages.shape)


def _coloured(array: NDArray[Any], pages: Pages, as_labels: bool) -> tuple[NDArray[Any], str]:
    """`array` as it is to be seen: palettes looked up, black and white the usual way round, without alpha."""
    page, axes = pages.first, pages.axes
    if "S" in axes and (page.photometric == PHOTOMETRIC.RGB or (page.extrasamples and page.extrasamples[-1] in _ALPHA)):
        count = 3 if page.photometric == PHOTOMETRIC.RGB else page.samplesperpixel - 1
        array = array.take(range(count), axis=axes.index("S"))
    if page.photometric == PHOTOMETRIC.MINISWHITE and array.dtype.kind in ("b" if as_labels else "bu"):
        array = ~array
    if page.photometric == PHOTOMETRIC.PALETTE and not as_labels:
        return np.asarray((page.colormap >> 8).astype(np.uint8).T[array]), axes + "S"
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(1 if as_labels else 255)
    return array, axes


def _is_exact_in_pillow(page: Any) -> bool:
    """Whether Pillow unpacks the pixels without cutting them to fewer bits."""
    if page.photometric in _CONVERTED:
        return bool(page.dtype == np.uint8 and page.bitspersample == 8 and page.samplesperpixel == _CONVERTED[page.photometric])
    return bool(page.photometric in _SHOWN and page.compression in _JPEG_OR_FAX and page.bitspersample in (1, 8))


def _through_pillow(pages: Pages, path: Path, as_labels: bool) -> tuple[NDArray[Any], str]:
    with quiet_stderr(), Image.open(path, formats=("TIFF",)) as picture:
        shown = []
        for frame in pages.frames:
            picture.seek(int(frame.index))
            shown.append(pixels(picture, as_labels=as_labels))
    array = np.stack(shown)
    stacked = pages.axes.replace("S", "").removesuffix("YX")
    axes = stacked + "YX" + ("S" if array.ndim > 3 else "")
    lengths = [size for axis, size in zip(pages.axes, pages.shape, strict=True) if axis in stacked]
    return array.reshape((*lengths, *array.shape[1:])), axes
