"""Voxels that a text header places somewhere: behind itself, or in files beside it, which are never others than it may name."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .checks import check_claim
from .packed import Packing, Unpacked, pass_over, read_array, read_to_end
from .text_numbers import whole_number

MOST_FILES = 10_000
"""Of one image; more in a pattern is damage."""

_LONGEST_WORD = 64
"""Bytes of memory that a number as text takes while it is read, at most."""


@dataclass(frozen=True)
class Part:
    """A file that holds some of the voxels.

    Attributes:
        path: of the file.
        start: bytes before what follows, or -1 for voxels at the very end of the file.
        lines: to pass over after `start`.
        skip: bytes to pass over in what is unpacked.
        attached: whether it is the header's own file, which holds nothing else.
    """

    path: Path
    start: int = 0
    lines: int = 0
    skip: int = 0
    attached: bool = False


def file_beside(header: Path, name: str) -> Path:
    """The data file that a header names: a regular file in the header's folder or below.

    Whoever sends a header must not choose what else of this computer is read.

    Raises:
        InputError: for a name that leads elsewhere, or where there is no such file.
    """
    plain = name.strip().strip('"')
    pure = PureWindowsPath(plain) if "\\" in plain else PurePosixPath(plain)
    if not plain or "\0" in plain or pure.is_absolute() or PureWindowsPath(plain).drive or ".." in pure.parts:
        raise InputError(
            f"expected the name of a data file beside {header}, found {_shown(name)} in it; put the file beside it and mend the name"
        )
    path = header.parent.joinpath(*pure.parts)
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise InputError(
            f"expected the data file {_shown(name)} beside {header}, found none that can be read: {error.strerror}; copy it there, too"
        ) from error
    if not stat.S_ISREG(kind) or not path.resolve().is_relative_to(header.parent.resolve()):
        raise InputError(
            f"expected the data file {_shown(name)} itself beside {header}, found a folder, a device or a link to elsewhere; copy it there"
        )
    return path


def files_of_pattern(header: Path, text: str) -> list[Path]:
    """The files of `NAME%03d.raw FIRST LAST STEP`.

    Raises:
        InputError: if it is no such pattern, or one of the files is not there.
    """
    found = re.fullmatch(r"(.*?)%(0?\d{0,2})d([^%]*?)\s+(-?\d{1,9})\s+(-?\d{1,9})(?:\s+(-?\d{1,9}))?", text.strip())
    first, last, step = (int(found[n] or 1) for n in (4, 5, 6)) if found else (0, -1, 1)
    numbers = range(first, last + (1 if step > 0 else -1), step) if step else range(0)
    if found is None or "%" in found[1] or not 0 < len(numbers) <= MOST_FILES:
        raise InputError(f"expected a data file or a pattern such as slice%03d.raw 1 40 1, found {_shown(text)} in {header}; mend the name")
    return [file_beside(header, f"{found[1]}{format(number, found[2] + 'd')}{found[3]}") for number in numbers]


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:77] + "...")


def read_parts(parts: Sequence[Part], dtype: np.dtype[Any], count: int, packing: Packing | str, path: Path) -> tuple[NDArray[Any], int]:
    """`count` values of one type from files that hold equally many each, and how many bytes were found behind them.

    Args:
        parts: the files, in order.
        dtype: of a value as it is stored.
        count: of all values.
        packing: of each file; "" for none, "text" for numbers as text, "hex" for bytes as text.
        path: of the header.

    Raises:
        InputError: if there are fewer values, or more behind a header in the same file, or they would take too much memory.
        EOFError, OSError, ValueError, zlib.error: if a file is damaged.
    """
    each, odd = divmod(count, len(parts))
    if odd:
        raise InputError(f"expected as many slices as data files, found {len(parts)} files in {path}; mend its list of files")
    size = each * dtype.itemsize
    stored = [max(0, part.path.stat().st_size - max(part.start, 0)) for part in parts]
    if packing:
        check_claim(count * dtype.itemsize, sum(stored), path, packed=True)
    for part, available in zip(parts, stored, strict=True) if not packing else ():
        check_claim(size, available, part.path, packed=False)
    arrays, behind = [], 0
    for part in parts:
        with part.path.open("rb") as file:
            if part.start < 0:
                file.seek(-size, 2)
            else:
                file.seek(part.start)
            for _ in range(part.lines):
                file.readline()
            array, more = _values(file, part, dtype, each, packing, path)
        behind += more
        if more and part.attached:
            raise InputError(
                f"expected {size} bytes of voxels as the header says, found {size + more} in {path}: its header is damaged; copy it again"
            )
        arrays.append(array)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays), behind


def _values(file: IO[bytes], part: Part, dtype: np.dtype[Any], count: int, packing: str, path: Path) -> tuple[NDArray[Any], int]:
    if packing in ("", "text", "hex"):
        pass_over(file, part.skip)
    if packing == "text":
        return _from_text(file, part, dtype, count, path), 0
    if packing == "hex":
        check_claim(3 * part.path.stat().st_size, part.path.stat().st_size, path, packed=True)
        data = bytes.fromhex(file.read().decode("ascii"))
        if len(data) < count * dtype.itemsize:
            raise EOFError(f"expected {count * dtype.itemsize} bytes of voxels, found {len(data)}")
        array = np.frombuffer(data, dtype, count).astype(dtype.newbyteorder("="))
        return array, len(data) - count * dtype.itemsize
    if not packing:
        array = read_array(file, dtype, count)
        return array, part.path.stat().st_size - file.tell()
    with closing(Unpacked(file, packing)) as unpacked:  # type: ignore[arg-type]
        pass_over(unpacked, part.skip)
        array = read_array(unpacked, dtype, count)
        return array, read_to_end(unpacked)


def _from_text(file: IO[bytes], part: Part, dtype: np.dtype[Any], count: int, path: Path) -> NDArray[Any]:
    size = part.path.stat().st_size
    check_claim(_LONGEST_WORD * min(size, count * 32), size, path, packed=True)
    words = file.read().decode("ascii").replace(",", " ").split()
    if len(words) != count:
        raise InputError(f"expected {count} voxels, found {len(words)} numbers in {part.path}; copy it again")
    if dtype.kind == "f":
        return np.array([float(word) for word in words], dtype.newbyteorder("="))
    values = np.array([whole_number(word) for word in words], np.int64 if dtype != np.uint64 else np.uint64)
    limits = np.iinfo(dtype)
    if values.size and not (limits.min <= values.min() and values.max() <= limits.max):
        raise InputError(f"expected voxels from {limits.min} to {limits.max}, found others in {part.path}; mend its type")
    return values.astype(dtype.newbyteorder("="))
