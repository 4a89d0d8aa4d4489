"""The elements of a DICOM file: those that images need, and nothing that is not wholly there."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

from ...errors import InputError
from ..limits import check_memory
from .values import Elements, Order
from .walk import PixelPlace, Walk

DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, eq=False)
class DicomData:
    """What a file says.

    Attributes:
        path: of the file.
        header: its elements.
        syntax: Transfer Syntax UID, "" where the file does not say.
        order: "<" or ">", of its numbers.
        pixels: where these are, None if it has none or was not read to its end.
        behind: how many bytes follow the pixels that are neither elements nor padding.
    """

    path: Path
    header: Elements
    syntax: str
    order: Order
    pixels: PixelPlace | None
    behind: int = 0

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file as `pixels` counts its bytes."""
        with self.path.open("rb") as file:
            yield _unpacked(file, self.syntax, self.path)


def read_elements(path: Path, *, until: Callable[[str], object] = lambda sop_class: False) -> DicomData:
    """The elements of a file that begins as a DICOM file does.

    Args:
        path: of the file.
        until: whether to stop after the SOP Class UID, because no more is needed of such a file.

    Raises:
        InputError: if the file is cut off or damaged.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        meta = Walk(file, path, "<", until)
        meta.go(_beginning(file))
        first = meta.elements(None, explicit=True, depth=0, group=2)
        syntax = first.text("TransferSyntaxUID")
        order: Order = ">" if syntax == BIG_ENDIAN else "<"
        walk = Walk(_unpacked(file, syntax, path), path, order, until)
        walk.go(0 if syntax == DEFLATED else meta.at)
        header = walk.elements(walk.size, explicit=walk.looks_explicit(), depth=0)
        header.values = first.values | header.values
        return DicomData(path, header, syntax, order, walk.pixels, walk.behind() if walk.pixels else 0)


def _beginning(file: IO[bytes]) -> int:
    """Where the first element is: after a preamble, unless the file is older than those."""
    file.seek(0)
    return 132 if file.read(132)[128:] == b"DICM" else 0


def _unpacked(file: IO[bytes], syntax: str, path: Path) -> IO[bytes]:
    """The file, or what lies deflated behind its first elements."""
    if syntax != DEFLATED:
        return file
    meta = Walk(file, path, "<", lambda sop_class: False)
    meta.go(_beginning(file))
    meta.elements(None, explicit=True, depth=0, group=2)
    file.seek(meta.at)
    unpacker, unpacked = zlib.decompressobj(-zlib.MAX_WBITS), BytesIO()
    try:
        waiting = file.read(2**16)
        while waiting and not unpacker.eof:
            unpacked.write(unpacker.decompress(waiting, 2**24))
            check_memory(unpacked.tell(), meta.size, path)
            waiting = unpacker.unconsumed_tail or file.read(2**16)
    except zlib.error as error:
        raise InputError(f"expected a DICOM file, found a damaged one {path} ({error}); copy it again") from error
    unpacked.seek(0)
    return unpacked
