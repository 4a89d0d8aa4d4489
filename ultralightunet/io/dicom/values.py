"""Values of DICOM elements as text and as numbers."""

from __future__ import annotations

import struct
from math import isfinite
from typing import Literal

from ..text_numbers import number

Order = Literal["<", ">"]
"""Of the bytes of a number: the lowest first, or the highest."""

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "OV": "Q", "SV": "q", "FL": "f", "FD": "d"}


class Elements:
    """Values by keyword, of a data set or of one item of a sequence.

    Args:
        order: "<" or ">", of binary numbers.
    """

    def __init__(self, order: Order = "<") -> None:
        self.order = order
        self.values: dict[str, tuple[str, bytes]] = {}
        self.sequences: dict[str, tuple[Elements, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return bool(self.raw(name)) or bool(self.items(name))

    def raw(self, name: str) -> bytes:
        """The bytes of a value, none if it is absent."""
        return self.values.get(name, ("", b""))[1]

    def items(self, name: str) -> tuple[Elements, ...]:
        """The items of a sequence, none if it is absent."""
        return self.sequences.get(name, ())

    def text(self, name: str) -> str:
        """A value as text that can be printed; "" if it is absent."""
        raw = self.raw(name)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        return "".join(c for c in text if c.isprintable()).strip()

    def numbers(self, name: str, count: int | None = None) -> tuple[float, ...]:
        """The values of an element; none if it is absent, has another number of values, or they are no finite numbers."""
        kind, raw = self.values.get(name, ("", b""))
        if kind in _NUMBERS:
            one = self.order + _NUMBERS[kind]
            size = struct.calcsize(one)
            found = [float(value[0]) for value in struct.iter_unpack(one, raw[: len(raw) // size * size])]
        else:
            try:
                found = [number(text.strip(" \0")) for text in raw.decode("latin-1").split("\\")] if raw else []
            except ValueError:
                return ()
        return tuple(found) if count in (None, len(found)) and all(map(isfinite, found)) else ()

    def number(self, *names: str, default: float = 0.0) -> float:
        """The first of `names` that is one number."""
        return next((found[0] for name in names if (found := self.numbers(name, 1))), default)
