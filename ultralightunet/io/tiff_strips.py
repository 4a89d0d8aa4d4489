"""Strips and tiles of TIFF files, unpacked into exactly as many pixels as the header says."""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from .quiet import quiet_stderr


def _as_they_are(packed: bytes, length: int, row: int) -> bytes:
    return packed


def _deflated(packed: bytes, length: int, row: int) -> bytes:
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(packed, length + 1)
    # zlib compares its checksum when it meets the end.
    if not unpacker.eof and len(found) <= length:
        raise ValueError("a strip is cut off")
    return found


def _lzma(packed: bytes, length: int, row: int) -> bytes:
    return lzma.LZMADecompressor().decompress(packed, length + 1)


def _pack_bits(packed: bytes, length: int, row: int) -> bytes:
    """Through Pillow, which says nothing of bytes behind the last pixel: so it is asked for one more."""
    if len(packed) * 64 < length:
        return b""
    try:
        return Image.frombytes("L", (length + 1, 1), packed, "packbits", "L").tobytes()
    except ValueError:
        return Image.frombytes("L", (length, 1), packed, "packbits", "L").tobytes()


def _lzw(packed: bytes, length: int, row: int) -> bytes:
    """Through Pillow, as the one strip of a grey picture of bytes: Pillow itself would cut numbers of 16 bits to 8, and lose signs."""
    with quiet_stderr():
        try:
            return _one_strip(packed, row, length // row + 1)
        except OSError:
            return _one_strip(packed, row, length // row)


def _one_strip(packed: bytes, width: int, height: int) -> bytes:
    entries = ((256, width), (257, height), (258, 8), (259, 5), (262, 1), (273, 8), (277, 1), (278, height), (279, len(packed)))
    start = 8 + len(packed) + len(packed) % 2
    head = struct.pack("<2sHI", b"II", 42, start) + packed + b"\0" * (len(packed) % 2)
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    with Image.open(io.BytesIO(head + struct.pack("<H", len(entries)) + tags + bytes(4)), formats=("TIFF",)) as picture:
        return picture.tobytes()


UNPACKERS: dict[int, Callable[[bytes, int, int], bytes]] = {
    1: _as_they_are,
    5: _lzw,
    8: _deflated,
    32773: _pack_bits,
    32946: _deflated,
    34925: _lzma,
}
"""By number of the compression: from packed bytes, the length that they should unpack to and the bytes of a row, to unpacked bytes, of
which there are a few more than that length if the strip holds more."""


def is_readable(page: Any) -> bool:
    """Whether the strips of a `tifffile` page can be unpacked here."""
    return (
        page.compression in UNPACKERS
        and page.predictor in (1, 2)
        and page.fillorder == 1
        and page.imagedepth == 1
        and not page.is_subsampled
        and page.dtype is not None
        and page.dtype.kind in "biuf"
        and page.bitspersample in (1, 8, 16, 32, 64)
        and page.bitspersample == (1 if page.dtype == np.bool_ else 8 * page.dtype.itemsize)
    )


def read_page(file: tifffile.FileHandle, page: Any, frame: Any) -> NDArray[Any]:
    """Pixels as they are stored, of the shape of `page`.

    Args:
        file: the TIFF.
        page: of `tifffile`, for which `is_readable` holds.
        frame: the same or another page of its kind, whose strips are read.

    Raises:
        ValueError: if a strip is missing, cut off, or unpacks to another length.
    """
    planes, samples = (page.samplesperpixel, 1) if page.planarconfig == 2 else (1, page.samplesperpixel)
    height, width = page.imagelength, page.imagewidth
    tall, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    down, across = -(-height // tall), -(-width // wide)
    offsets, counts = frame.dataoffsets, frame.databytecounts
    if not len(offsets) == len(counts) == planes * down * across:
        raise ValueError(f"it has {len(offsets)} strips or tiles where its size makes {planes * down * across}")
    array = np.empty((planes, height, width, samples), page.dtype)
    for n, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
        plane, row, column = n // (down * across), n // across % down * tall, n % across * wide
        # Some writers fill the last strip up, as all do with tiles.
        rows = [tall] if page.is_tiled or row + tall <= height else [height - row, tall]
        part = _part(file, page, (offset, count), rows, (wide, samples))
        array[plane, row : row + tall, column : column + wide] = part[: height - row, : width - column]
    return array.reshape(page.shape)


def _part(file: tifffile.FileHandle, page: Any, place: tuple[int, int], heights: list[int], shape: tuple[int, int]) -> NDArray[Any]:
    """One strip or tile (rows, columns, samples), with one of several numbers of rows."""
    columns, samples = shape
    row = -(-columns * samples * page.bitspersample // 8)
    file.seek(place[0])
    packed = file.read(place[1])
    if len(packed) < place[1] or not packed:
        raise ValueError("a strip is missing or cut off")
    for rows in heights:
        raw = UNPACKERS[page.compression](packed, rows * row, row)
        if len(raw) == rows * row:
            return _numbers(raw, page, (rows, columns, samples))
    raise ValueError(f"a strip holds more or less than the {heights[0]} x {columns} pixels that its size makes")


def _numbers(raw: bytes, page: Any, shape: tuple[int, int, int]) -> NDArray[Any]:
    rows, columns, samples = shape
    if page.bitspersample == 1:
        bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(rows, -1), axis=1)
        return bits[:, : columns * samples].reshape(shape).astype(np.bool_)
    stored = page.dtype.newbyteorder(page.parent.byteorder)
    values = np.frombuffer(raw, stored).reshape(shape).astype(page.dtype)
    if page.predictor == 2:
        # Differences from pixel to pixel, which go round like any whole number of that many bits.
        whole = np.dtype(f"u{values.itemsize}")
        values = np.cumsum(values.view(whole), axis=1, dtype=whole).view(page.dtype)
    return values
