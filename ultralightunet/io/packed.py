"""Packed voxels, unpacked piece by piece into memory that was asked for once, with every checksum compared."""

from __future__ import annotations

import bz2
import io
import zlib
from collections.abc import Callable
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

Packing = Literal["gzip", "zlib", "bzip2"]

_PIECE = 1 << 20
"""Bytes read at once."""

_MOST_BEHIND = 2**30
"""Bytes behind the voxels that are unpacked to reach the checksum; more than that is no image."""


class Unpacked(io.RawIOBase):
    """A stream of what is packed in another one.

    `gzip.GzipFile` will not do: it takes bytes behind the stream, which some tools write and all pass over, for damage.

    Args:
        file: stands where the packed bytes begin.
        packing: of gzip and bzip2 several streams may follow one another and make one.

    Raises:
        EOFError: when read, if the packed bytes end too early.
        OSError, zlib.error: when read, if they are damaged; a checksum that does not fit is damage, too.
    """

    def __init__(self, file: IO[bytes], packing: Packing) -> None:
        self._file = file
        self._magic, self._new = _PACKERS[packing]
        self._packer: Any = self._new()
        self._pending = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes, 0 at the end; at most as many as asked for, whatever a damaged stream would swell to."""
        view = memoryview(buffer).cast("B")
        while len(view):
            if self._packer.eof and not self._begin_next():
                return 0
            is_over = False
            if not self._pending and getattr(self._packer, "needs_input", True):
                self._pending = self._file.read(_PIECE)
                is_over = not self._pending
            found = self._unpack(len(view))
            if found:
                view[: len(found)] = found
                return len(found)
            if is_over and not self._packer.eof:
                raise EOFError("its packed voxels are cut off")
        return 0

    def _unpack(self, most: int) -> bytes:
        found: bytes = self._packer.decompress(self._pending, min(most, _PIECE))
        # zlib hands back what it has not looked at, bz2 keeps it.
        self._pending = getattr(self._packer, "unconsumed_tail", b"")
        return found

    def _begin_next(self) -> bool:
        """Whether another stream follows the one that has ended."""
        rest: bytes = self._packer.unused_data
        while self._magic and len(rest) < len(self._magic) and (more := self._file.read(_PIECE)):
            rest += more
        if not self._magic or not rest.startswith(self._magic):
            return False
        self._packer, self._pending = self._new(), rest
        return True


_PACKERS: dict[str, tuple[bytes, Callable[[], Any]]] = {
    "gzip": (b"\x1f\x8b", lambda: zlib.decompressobj(31)),
    # 47 is zlib or gzip, whichever it is.
    "zlib": (b"", lambda: zlib.decompressobj(47)),
    "bzip2": (b"BZh", bz2.BZ2Decompressor),
}


def read_array(stream: IO[bytes] | Unpacked, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """The next `count` values of a stream, plain or unpacked, in this machine's byte order.

    Raises:
        EOFError: if there are not so many.
    """
    array = np.empty(count, dtype)
    view = array.view(np.uint8).data
    filled = 0
    while filled < len(view):
        found = stream.readinto(view[filled : filled + _PIECE])  # type: ignore[union-attr]
        if not found:
            raise EOFError(f"expected {len(view)} bytes of voxels, found {filled}")
        filled += found
    return array.byteswap(inplace=True).view(dtype.newbyteorder("=")) if not dtype.isnative else array


def pass_over(stream: IO[bytes] | Unpacked, count: int) -> None:
    """Skip bytes of a stream.

    Raises:
        EOFError: if there are not so many.
    """
    while count > 0:
        found = len(stream.read(min(count, _PIECE)) or b"")
        if not found:
            raise EOFError("it ends before its voxels begin")
        count -= found


def read_to_end(stream: IO[bytes] | Unpacked) -> int:
    """How many bytes are left in a stream: only at its end is the checksum compared, so that without this a flipped bit goes unnoticed.

    Raises:
        ValueError: if there are more than any image has behind its voxels.
    """
    count = 0
    while found := stream.read(_PIECE):
        count += len(found)
        if count > _MOST_BEHIND:
            raise ValueError("it holds far more voxels than its header says")
    return count
