"""Voxels behind a binary header, plain or in gzip: NIfTI, Analyze and FreeSurfer's volumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .checks import check_claim, chosen_volume
from .packed import Unpacked, pass_over, read_array, read_to_end


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes] | Unpacked, bool]]:
    """The file's bytes, unpacked if they are packed, whatever its name says; and whether they are."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file, False
            return
        with closing(Unpacked(file, "gzip")) as unpacked:
            yield unpacked, True


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file, unpacked; fewer if it has no more.

    Raises:
        EOFError, OSError, zlib.error: if it is damaged.
    """
    found = b""
    with opened(path) as (stream, _):
        while len(found) < count and (more := stream.read(count - len(found))):
            found += more
    return found


def read_voxels(
    path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], volume_index: int | None = None, *, every: bool = False
) -> tuple[NDArray[Any], int]:
    """One volume of a file, (k, j, i) or (j, i), or all of them (t, k, j, i); and how many bytes lie behind the last one.

    The whole file is read, whichever volume is meant: only at its end does a packed file tell of damage.

    Args:
        path: of the file.
        offset: bytes before the voxels.
        dtype: of a voxel, in the file's byte order.
        shape: of the image, (i, j), (i, j, k) or with further axes that count volumes.
        volume_index: which volume; None where there should be one only.
        every: all of them, whatever the index.

    Raises:
        InputError: if the file is too short, the image too large, or the index not one of a volume.
        EOFError, OSError, ValueError, zlib.error: if the file is damaged.
    """
    count, size = prod(shape[3:]), prod(shape[:3])
    index = 0 if every else chosen_volume(volume_index, count, path)
    read = count if every else 1
    with opened(path) as (stream, packed):
        if packed:
            check_claim(read * size * dtype.itemsize, path.stat().st_size, path, packed=True)
            pass_over(stream, offset + index * size * dtype.itemsize)
        else:
            check_claim(offset + count * size * dtype.itemsize, path.stat().st_size, path, packed=False)
            stream.seek(offset + index * size * dtype.itemsize)
        array = read_array(stream, dtype, read * size)
        left = (count - index - read) * size * dtype.itemsize
        pass_over(stream, left)
        behind = read_to_end(stream) if packed else path.stat().st_size - stream.tell()
    volume = shape[:3][::-1]
    return array.reshape((count, *volume) if every else volume), behind
