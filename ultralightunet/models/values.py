"""What values read from JSON have to be; everything else is a fault of the file, found where it is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any


def table(value: Any) -> dict[str, Any]:
    """A table of names and values.

    Raises:
        TypeError: if it is none.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{_shown(value)} is no table of names and values")
    return dict(value)


def text(value: Any) -> str:
    """Text of any length.

    Raises:
        TypeError: if it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{_shown(value)} is no text")
    return value


def line(value: Any) -> str:
    """Text that a terminal, a table and a header can show: without line breaks and other control characters.

    Raises:
        TypeError, ValueError: if it is none.
    """
    # Almost all texts are printable, which is quickly known.
    if not text(value).isprintable() and any(unicodedata.category(letter) == "Cc" for letter in value):
        raise ValueError(f"{_shown(value)} is not one line of text")
    return str(value)


def lines(*values: Any) -> tuple[str, ...]:
    """Several `line`s; ten thousand of them are quickly looked at together.

    Raises:
        TypeError, ValueError: if one is none.
    """
    return values if "".join(values).isprintable() else tuple(map(line, values))


def whole(value: Any) -> int:
    """A whole number.

    Raises:
        TypeError, ValueError, OverflowError: if it is none.
    """
    if type(value) is int:
        return value
    if not isinstance(value, float) or int(value) != value:
        raise TypeError(f"{_shown(value)} is no whole number")
    return int(value)


def wholes(values: Iterable[Any]) -> tuple[int, ...]:
    """Whole numbers.

    Raises:
        TypeError, ValueError, OverflowError: if they are none.
    """
    return tuple(whole(value) for value in values)


def numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """Numbers of any kind.

    Raises:
        TypeError, ValueError: if they are none.
    """
    return tuple(float(value) for value in values)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 60 else f"{shown[:57]}..."
