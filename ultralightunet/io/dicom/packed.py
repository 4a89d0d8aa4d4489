"""Packed DICOM pixels: which fragments are a frame, and run lengths (RLE)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import InputError
from .elements import DicomData
from .layout import Layout


def frame_extents(data: DicomData, frames: int, file: IO[bytes]) -> list[list[tuple[int, int]]]:
    """Start and length of the fragments of each frame.

    Raises:
        InputError: if the file does not say which fragment belongs to which frame.
    """
    assert data.pixels is not None
    table, *fragments = data.pixels.extents
    if frames == 1:
        return [fragments]
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    starts = _offsets(data, table, file)
    if len(starts) == frames:
        # Offsets count from the first fragment's own tag, 8 bytes before its content.
        first = fragments[0][0]
        begins = {start - first: n for n, (start, _) in enumerate(fragments)}
        places = [begins[start] for start in starts if start in begins]
        if len(places) == frames and places[0] == 0 and all(a < b for a, b in pairwise(places)):
            return [fragments[a:b] for a, b in zip(places, [*places[1:], len(fragments)], strict=True)]
    raise InputError(
        f"expected {frames} packed frames, found {len(fragments)} pieces in {data.path} and no table of what belongs together; "
        "decompress it or export it again"
    )


def _offsets(data: DicomData, table: tuple[int, int], file: IO[bytes]) -> list[int]:
    extended = data.header.raw("ExtendedOffsetTable")
    if extended:
        return [value[0] for value in struct.iter_unpack("<Q", extended[: len(extended) // 8 * 8])]
    file.seek(table[0])
    raw = file.read(table[1])
    return [value[0] for value in struct.iter_unpack("<I", raw[: len(raw) // 4 * 4])]


def from_run_lengths(packed: bytes, layout: Layout, path: Path) -> NDArray[Any]:
    """A frame (rows, columns) or (rows, columns, 3) from the DICOM standard's run lengths (PS3.5, annex G).

    Raises:
        InputError: if it does not unpack to exactly this frame.
    """
    size = layout.allocated // 8
    count, pixels = layout.samples * size, layout.rows * layout.columns
    header = struct.unpack("<16I", packed[:64]) if len(packed) >= 64 else (0,) * 16
    starts = [*header[1 : count + 1], len(packed)]
    if header[0] != count or starts[0] != 64 or any(a >= b for a, b in pairwise(starts)):
        raise _damage(path, "its run lengths have another number of segments than its header says")
    planes = [_segment(packed[a:b], pixels, path) for a, b in pairwise(starts)]
    # The segments of a sample begin with its highest byte.
    samples = [np.stack(planes[n : n + size], axis=-1).view(f">u{size}")[:, 0] for n in range(0, count, size)]
    values = np.stack(samples, axis=-1) if len(samples) > 1 else samples[0]
    return values.astype(f"u{size}").view(layout.dtype).reshape(layout.shape)


def _segment(packed: bytes, length: int, path: Path) -> NDArray[np.uint8]:
    # Pillow's decoder stops at the end of a picture without a word: whether there is more shows when it is asked for one byte more.
    if len(packed) * 64 < length or (unpacked := _unpacked(packed, length)) is None or _unpacked(packed, length + 1) is not None:
        raise _damage(path, "its run lengths make another number of pixels than its header says")
    return unpacked


def _unpacked(packed: bytes, length: int) -> NDArray[np.uint8] | None:
    try:
        picture = Image.frombytes("L", (length, 1), packed, "packbits", "L")
    except ValueError:
        return None
    return np.asarray(picture, dtype=np.uint8).ravel()


def _damage(path: Path, reason: str) -> InputError:
    return InputError(f"expected a DICOM image, found a damaged one {path}: {reason}; copy it again")


def joined(file: IO[bytes], extents: Sequence[tuple[int, int]]) -> bytes:
    """The content of fragments, one after the other."""
    parts = []
    for start, length in extents:
        file.seek(start)
        parts.append(file.read(length))
    return b"".join(parts)
