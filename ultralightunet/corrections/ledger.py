"""The append-only account of what was saved: one JSON object a line, and no line is ever changed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..disk import append_durably, read_small
from ..errors import InputError
from .files import file_hash
from .layout import FACTS, LEDGER, own
from .records import Revision
from .roles import Role


@dataclass(frozen=True)
class Ledger:
    """What a ledger says.

    Attributes:
        entries: the lines that can be read, the oldest first.
        damaged: numbers, from 1, of the lines that cannot be read: cut short by a crash or a full disk, say.
    """

    entries: tuple[Mapping[str, Any], ...] = ()
    damaged: tuple[int, ...] = ()

    @cached_property
    def _lines(self) -> Mapping[tuple[str, int], Mapping[str, Any]]:
        return {(entry["case"], entry["revision"]): entry for entry in reversed(self.entries)}

    def of(self, case: str, revision: int) -> Mapping[str, Any] | None:
        """The first line of a revision, None if there is none."""
        return self._lines.get((case, revision))

    def names(self) -> set[tuple[str, int]]:
        """Case and number of every revision that has a line."""
        return set(self._lines)


def read_ledger(store: Path) -> Ledger:
    """The ledger of a store, an empty one where there is none.

    Raises:
        InputError: if it is no file of the store.
        OSError: if it is there and cannot be read.
    """
    entries, damaged = [], []
    for number, line in enumerate(_read(store).splitlines(), start=1):
        entry = _entry(line)
        if entry is None:
            damaged.append(number)
        else:
            entries.append(entry)
    return Ledger(tuple(entries), tuple(damaged))


def noted_role(store: Path, case: str) -> Role | None:
    """The role that the ledger tells of a case, None where it tells of none; without a look at the lines of other cases.

    Raises:
        InputError, OSError: as `read_ledger`.
    """
    lines = (line for line in _read(store).splitlines() if case.encode() in line)
    entries = (entry for entry in map(_entry, lines) if entry is not None and entry["case"] == case)
    role = next((entry.get("role") for entry in entries), None)
    return role if role in ("train", "holdout") else None


def _read(store: Path) -> bytes:
    try:
        return read_small(own(store, store / LEDGER), most=2**31)
    except FileNotFoundError:
        return b""
    except ValueError as error:
        raise InputError(
            f"expected the account of what was saved at {store / LEDGER}, found another thing: {error}; move it away"
        ) from error


def _entry(line: bytes) -> Mapping[str, Any] | None:
    try:
        entry = json.loads(line)
        return {**entry, "case": str(entry["case"]), "revision": int(entry["revision"])}
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def append(store: Path, revision: Revision, *, recovered: bool = False) -> None:
    """Add the line of a revision and see it through to the disk.

    The only time here is that of saving, in seconds since 1970: when the image was made is nobody's business.

    Args:
        store: its folder.
        revision: lies in its place already.
        recovered: whether whoever saved it did not come to write the line.

    Raises:
        OSError: if it cannot be written; what was there is then as before.
    """
    entry = {
        "schema_version": 1,
        "case": revision.case,
        "revision": revision.number,
        "role": revision.role,
        "image_sha256": revision.image_sha256,
        "model": revision.model,
        "labels_sha256": revision.content["labels"],
        "prediction_sha256": revision.content.get("prediction"),
        "checked_sha256": revision.content.get("checked"),
        "facts_sha256": file_hash(revision.folder / FACTS),
        "dice": revision.dice,
        "voxels_changed": revision.voxels_changed,
        "voxels_checked": revision.voxels_checked,
        "time": int(time.time()),
        "tool_version": revision.tool_version,
        **({"recovered": True} if recovered else {}),
    }
    line = json.dumps(entry, allow_nan=False).encode() + b"\n"
    append_durably(own(store, store / LEDGER), line)
