"""From element to element through a DICOM file, none of which is believed before it is seen."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...errors import InputError
from .tags import NAMES, TAGS
from .values import Elements, Order

_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
"""Value representations whose length takes four bytes."""
_UNDEFINED = 0xFFFF_FFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_PIXELS = ("FloatPixelData", "DoubleFloatPixelData", "PixelData")
_DEEPEST = 40
_LONGEST = 2**22
"""Bytes of one value that is no pixel data."""
_PADDING = 2**16
"""Bytes behind the pixels that are looked at."""
_MOST = 2_000_000
"""Elements in one file; the frames of the largest have a tenth as many at most."""


@dataclass(frozen=True)
class PixelPlace:
    """Where in a file its pixels are.

    Attributes:
        name: of the element.
        kind: its value representation.
        encapsulated: whether they are packed, in fragments.
        extents: start and length of the pixels, or of each fragment, the first of which is a table of offsets.
    """

    name: str
    kind: str
    encapsulated: bool
    extents: tuple[tuple[int, int], ...]


class Walk:
    """Goes through a file from element to element.

    Args:
        stream: the file.
        path: of the file, for sentences.
        order: "<" or ">".
        until: as for `read_elements`.
    """

    def __init__(self, stream: IO[bytes], path: Path, order: Order, until: Callable[[str], object]) -> None:
        self.stream, self.path, self.order, self.until = stream, path, order, until
        self.at, self.count = 0, 0
        self.size = stream.seek(0, 2)
        self.pixels: PixelPlace | None = None

    def go(self, at: int) -> None:
        """Go to a byte of the file."""
        if at > self.size:
            raise self._damage("it is cut off")
        self.at = at
        self.stream.seek(at)

    def looks_explicit(self) -> bool:
        """Whether the next element tells its value representation, whatever the file's transfer syntax says."""
        start = self.stream.read(6)
        self.stream.seek(self.at)
        return start[4:].isalpha() and start[4:].isupper()

    def behind(self) -> int:
        """How many bytes are left that are neither an element nor padding: damage that made the file longer leaves some."""
        left = self.size - self.at
        start = self.stream.read(_PADDING)
        self.stream.seek(self.at)
        if not any(start):
            return 0
        if left >= 8:
            group, element, length = struct.unpack(self.order + "HHI", start[:8])
            is_element = self.looks_explicit() or length <= left - 8
            if group >= 0x7FE0 and (group, element) > (0x7FE0, 0x0010) and is_element:
                return 0
        return left

    def elements(self, end: int | None, *, explicit: bool, depth: int, group: int | None = None, keep: bool = True) -> Elements:
        """Elements up to `end`, to the end of an item if that is None, or while they are of `group`."""
        found = Elements(self.order)
        # What is shorter than an element behind a file's last one is padding.
        shortest = 1 if depth else 8
        while end is None or self.at + shortest <= end:
            before = self.at
            tag, kind, length = self._head(explicit)
            if group is not None and tag >> 16 != group:
                self.go(before)
                break
            if tag == _ITEM_END and end is None:
                break
            name = NAMES.get(tag, "") if keep else ""
            self._value(found, name, kind, length, explicit=explicit, depth=depth)
            if depth == 0 and (name == "PixelData" or (name == "SOPClassUID" and self.until(found.text(name)))):
                break
        if end is not None and self.at > end:
            raise self._damage("an element is longer than what holds it")
        return found

    def _value(self, found: Elements, name: str, kind: str, length: int, *, explicit: bool, depth: int) -> None:
        """Go over the value of an element, and keep it in `found` if it has a name here."""
        if name in _PIXELS and depth == 0:
            self.pixels = self._pixel_place(name, kind, length)
        elif length == _UNDEFINED and kind in ("OB", "OW"):
            self._fragments()
        elif kind == "SQ" or length == _UNDEFINED:
            if name or length == _UNDEFINED:
                items = self._items(length, explicit=explicit and kind == "SQ", depth=depth + 1, keep=bool(name))
                if name:
                    found.sequences[name] = items
            else:
                self._skip(length)
        elif name:
            if length > _LONGEST:
                raise self._damage("a value is longer than any of its kind")
            found.values[name] = (kind, self._take(length))
        else:
            self._skip(length)

    def _head(self, explicit: bool) -> tuple[int, str, int]:
        """Tag, value representation and length of the next element."""
        self.count += 1
        if self.count > _MOST:
            raise self._damage("it has more elements than any image")
        raw = self._take(8)
        group, element, length = struct.unpack(self.order + "HHI", raw)
        tag = group << 16 | element
        known = TAGS[NAMES[tag]][1] if tag in NAMES else "UN"
        if group == 0xFFFE or not (explicit and raw[4:6].isalpha() and raw[4:6].isupper()):
            return tag, known, length
        kind = raw[4:6].decode()
        if kind in _LONG:
            (length,) = struct.unpack(self.order + "I", self._take(4))
        else:
            (length,) = struct.unpack(self.order + "H", raw[6:])
        return tag, known if kind == "UN" else kind, length

    def _items(self, length: int, *, explicit: bool, depth: int, keep: bool) -> tuple[Elements, ...]:
        if depth > _DEEPEST:
            raise self._damage("its sequences lie too deep in one another")
        end = None if length == _UNDEFINED else self.at + length
        items = []
        while end is None or self.at < end:
            tag, _, size = self._head(explicit=False)
            if tag == _SEQUENCE_END and end is None:
                break
            if tag != _ITEM:
                raise self._damage("a sequence holds something other than items")
            inside = explicit or (self.at < self.size and self.looks_explicit())
            if size != _UNDEFINED and not keep:
                self._skip(size)
                continue
            item = self.elements(None if size == _UNDEFINED else self.at + size, explicit=inside, depth=depth, keep=keep)
            if keep:
                items.append(item)
        return tuple(items)

    def _pixel_place(self, name: str, kind: str, length: int) -> PixelPlace:
        if length == _UNDEFINED:
            return PixelPlace(name, kind, True, self._fragments())
        self._skip(length)
        return PixelPlace(name, kind, False, ((self.at - length, length),))

    def _fragments(self) -> tuple[tuple[int, int], ...]:
        """Start and length of each fragment; some writers leave out the mark behind the last one."""
        found: list[tuple[int, int]] = []
        while not (found and self.at == self.size):
            tag, _, length = self._head(explicit=False)
            if tag == _SEQUENCE_END:
                break
            if tag != _ITEM or length == _UNDEFINED:
                raise self._damage("its packed pixels hold something other than fragments")
            found.append((self.at, length))
            self._skip(length)
        return tuple(found)

    def _take(self, length: int) -> bytes:
        taken = self.stream.read(length)
        if len(taken) < length:
            raise self._damage("it is cut off")
        self.at += length
        return taken

    def _skip(self, length: int) -> None:
        self.go(self.at + length)

    def _damage(self, reason: str) -> InputError:
        return InputError(f"expected a DICOM image, found a damaged one {self.path}: {reason}; copy it again")
