"""What has happened to the cases of a list: one JSON object a line, appended, and no line is ever changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..disk import append_durably, read_small
from ..errors import only_our_errors
from .cases import ListedCase, after

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class Ledger:
    """What a ledger says.

    Attributes:
        entries: the lines that can be read, the oldest first.
        damaged: numbers, from 1, of those that cannot.
    """

    entries: tuple[Mapping[str, Any], ...] = ()
    damaged: tuple[int, ...] = ()


def read_ledger(folder: Path) -> Ledger:
    """The ledger of a list, an empty one where nothing has happened yet.

    Raises:
        InputError: if it is there and cannot be read.
    """
    path = folder / LEDGER
    with only_our_errors(path, "the ledger of a worklist"):
        try:
            lines = read_small(path, most=2**31).splitlines()
        except FileNotFoundError:
            return Ledger()
    entries, damaged = [], []
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is None:
            damaged.append(number)
        else:
            entries.append(entry)
    return Ledger(tuple(entries), tuple(damaged))


def append(folder: Path, entry: Mapping[str, Any]) -> None:
    """Add an entry and see it through to the disk; the list's lock is held.

    Raises:
        OSError: if it cannot be written; what was there is then as before.
    """
    append_durably(folder / LEDGER, json.dumps(entry, allow_nan=False).encode() + b"\n")


def _entry(line: bytes) -> Mapping[str, Any] | None:
    """What a line says, None if it is damaged: it must be something that can happen to a case."""
    try:
        entry: dict[str, Any] = json.loads(line)
        after(ListedCase(str(entry["case"]), ""), entry)
        return entry
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return None
