"""Numbers in the text of a header: with a decimal point, whatever language the computer speaks, and nothing else."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_WHOLE = re.compile(r"[+-]?\d{1,20}")


def number(text: str) -> float:
    """A finite number; Python's own `float` would also take "1_0", "nan" and "infinity".

    Raises:
        ValueError: if it is none.
    """
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number with a decimal point, found {text[:40]!r}")
    return value


def whole_number(text: str) -> int:
    """A whole number.

    Raises:
        ValueError: if it is none.
    """
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"expected a whole number, found {text[:40]!r}")
    return int(text)


def numbers(text: str, count: int) -> list[float]:
    """Exactly `count` numbers, apart by spaces.

    Raises:
        ValueError: if they are not.
    """
    words = text.split()
    if len(words) != count:
        raise ValueError(f"expected {count} numbers, found {text[:80]!r}")
    return [number(word) for word in words]


def whole_numbers(text: str, count: int) -> list[int]:
    """Exactly `count` whole numbers, apart by spaces.

    Raises:
        ValueError: if they are not.
    """
    words = text.split()
    if len(words) != count:
        raise ValueError(f"expected {count} whole numbers, found {text[:80]!r}")
    return [whole_number(word) for word in words]
