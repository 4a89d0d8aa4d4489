"""How much memory one image may take: a small file, damaged or made to harm, must not fill the machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import InputError

VARIABLE = "ULTRALIGHT_MAX_MEMORY"
"""Environment variable of the limit, e.g. 8G; a variable, because child processes inherit it."""

USUAL = 2**30
"""Bytes that any file may unpack to: the labels of a whole body are seldom more."""

MULTIPLE = 200
"""Above `USUAL`, how many times its own size a file may unpack to: images come to 2 to 20 times theirs, labels to a few hundred."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_memory(text: str) -> int:
    """Bytes of "8G", "512 MB" or a plain number.

    Raises:
        ValueError: if it says no amount above zero.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    amount = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if amount <= 0:
        raise ValueError(f"expected an amount of memory such as 8G or 512M, found {text!r}")
    return amount


def set_max_memory(text: str | None) -> None:
    """Set the limit for this process and those that it starts; None goes back to the rule that `check_memory` states.

    Raises:
        ValueError: if it says no amount.
    """
    if text is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = str(parse_memory(text))


def check_memory(claimed: int, stored: int, path: Path) -> None:
    """Refuse an image that would take more memory than it may, before that memory is asked for.

    Without a limit that somebody set: `USUAL`, or `MULTIPLE` times what is stored if that is more, but no more than the computer has.

    Args:
        claimed: bytes that its voxels take in memory.
        stored: bytes that they take on the disk, over all files of the image.
        path: of the file or folder.

    Raises:
        InputError: if it would take more.
    """
    limit = _limit_set()
    if limit is None:
        limit = min(max(USUAL, MULTIPLE * stored), _installed())
    if claimed > limit:
        raise InputError(
            f"expected an image of at most {_readable(limit)} in memory, found a header that claims {_readable(claimed)} in {path} "
            f"({_readable(stored)} on the disk); if that is right, allow more with --max-memory"
        )


def _limit_set() -> int | None:
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        return parse_memory(text)
    except ValueError as error:
        raise InputError(f"{error} in the environment variable {VARIABLE}; correct it") from error


def _installed() -> int:
    """Bytes of memory that this computer has; where it does not say, more than any file."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 2**62


def _readable(size: int) -> str:
    for unit, factor in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"
