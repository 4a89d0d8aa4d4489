"""Pictures of the JPEG family in DICOM files: looked at first, then unpacked in a process of their own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...disk import folder_beside
from ...errors import InputError
from .layout import Layout
from .tags import JPEG_2000

_LARGE, _RATIO = 2**26, 500
"""Bytes of a frame above which it is at most so many times as large as its picture: blank ones alone pack better, and are small."""
_DECODER = Path(__file__).with_name("decoder.py")


class PictureDecoder:
    """Unpacks pictures of the JPEG family in a process of its own, which starts with the first and ends with the context.

    with PictureDecoder() as decoder:
        frame = decoder.unpack(packed, layout, syntax, path)
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ExitStack()

    def __enter__(self) -> PictureDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def unpack(self, packed: bytes, layout: Layout, syntax: str, path: Path) -> NDArray[Any]:
        """A frame (rows, columns) or, in RGB, (rows, columns, 3).

        Raises:
            InputError: if the picture is damaged, not the one that the header tells of, or of a kind that cannot be unpacked here.
        """
        _check_picture(packed, layout, syntax, path)
        shown = "MONOCHROME2" if layout.samples == 1 else layout.photometric
        wanted = asdict(layout) | {"photometric": shown, "syntax": syntax, "length": len(packed)}
        reply, pixels = self._ask(json.dumps(wanted).encode() + b"\n" + packed, path)
        if "error" in reply:
            raise _damage(path, f"its picture cannot be unpacked ({reply['error']})")
        if tuple(reply["shape"]) != layout.shape:
            raise _damage(path, f"its picture is of {reply['shape']}, its header says {list(layout.shape)}")
        return np.frombuffer(pixels, reply["dtype"]).reshape(layout.shape)

    def _ask(self, request: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
        if self._process is None:
            self._process = self._started(path)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
            reply = json.loads(self._process.stdout.readline())
            pixels = self._process.stdout.read(reply["length"])
            if len(pixels) == reply["length"]:
                return reply, pixels
        except (OSError, ValueError):
            pass
        self._end()
        raise _damage(path, "its picture cannot be unpacked")

    def _started(self, path: Path) -> subprocess.Popen[bytes]:
        try:
            # Made here, because what is killed tidies nothing up.
            folder = self._folder.enter_context(folder_beside(Path(tempfile.gettempdir()), "partial", private=True))
            # -P: nothing is imported from the folder that the user works in.
            command = [sys.executable, "-P", str(_DECODER), str(folder)]
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        except OSError as error:
            self._end()
            raise InputError(
                f"expected to unpack the compressed pictures of {path} with {sys.executable}, found an obstacle: {error.strerror}; "
                "decompress them, e.g. with dcmdjpeg or gdcmconv --raw"
            ) from error

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        self._folder.close()


def _check_picture(packed: bytes, layout: Layout, syntax: str, path: Path) -> None:
    """Whether a picture is whole, and of the size that the header tells, before memory for it is asked for."""
    found = _jpeg_2000_size(packed) if syntax in JPEG_2000 else _jpeg_size(packed)
    if found is None:
        raise _damage(path, "its picture has no beginning")
    rows, columns, samples, bits = found
    if (rows, columns, samples) != (layout.rows, layout.columns, layout.samples) or bits > layout.allocated:
        raise _damage(
            path,
            f"its picture has {rows} x {columns} pixels of {samples} x {bits} bits, its header says {layout.rows} x {layout.columns} "
            f"of {layout.samples} x {layout.allocated}",
        )
    if layout.frame_bits // 8 > max(_LARGE, _RATIO * len(packed)):
        raise _damage(path, f"its picture of {len(packed)} bytes cannot hold {rows} x {columns} pixels")
    # Both kinds end with the same two bytes; padding may follow.
    if b"\xff\xd9" not in packed[-18:]:
        raise _damage(path, "its picture is cut off")


def _jpeg_size(packed: bytes) -> tuple[int, int, int, int] | None:
    """Rows, columns, samples and bits of a JPEG or JPEG-LS picture."""
    at = 2
    while packed[:2] == b"\xff\xd8" and at + 10 <= len(packed) and packed[at] == 0xFF:
        kind = packed[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)) or kind == 0xF7:
            bits, rows, columns, samples = struct.unpack(">BHHB", packed[at + 4 : at + 10])
            return rows, columns, samples, bits
        at += 2 + int.from_bytes(packed[at + 2 : at + 4], "big")
    return None


def _jpeg_2000_size(packed: bytes) -> tuple[int, int, int, int] | None:
    """Rows, columns, samples and bits of a JPEG 2000 picture, which some writers put into a file of its own."""
    at = packed[:4096].find(b"\xff\x4f\xff\x51")
    if at < 0 or len(packed) < at + 45:
        return None
    right, bottom, left, top = struct.unpack(">4I", packed[at + 8 : at + 24])
    (samples,) = struct.unpack(">H", packed[at + 40 : at + 42])
    return bottom - top, right - left, samples, (packed[at + 42] & 0x7F) + 1


def _damage(path: Path, reason: str) -> InputError:
    return InputError(f"expected a DICOM image, found a damaged one {path}: {reason}; copy it again")
