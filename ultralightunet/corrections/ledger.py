"""The append-only account of what was saved: one JSON object a line, and no line is ever changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import file_hash
from .records import FACTS, Revision

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class Ledger:
    """What a ledger says.

    Attributes:
        entries: the lines that can be read, the oldest first.
        damaged: numbers, from 1, of the lines that cannot be read: cut short by a crash or a full disk, say.
    """

    entries: tuple[Mapping[str, Any], ...] = ()
    damaged: tuple[int, ...] = ()

    def of(self, case: str, revision: int) -> Mapping[str, Any] | None:
        """The line of a revision, None if there is none."""
        return next((e for e in self.entries if (e["case"], e["revision"]) == (case, revision)), None)

    def names(self) -> set[tuple[str, int]]:
        """Case and number of every revision that has a line."""
        return {(entry["case"], entry["revision"]) for entry in self.entries}


def read_ledger(store: Path) -> Ledger:
    """The ledger of a store, an empty one where there is none.

    Raises:
        OSError: if it is there and cannot be read.
    """
    try:
        lines = (store / LEDGER).read_bytes().splitlines()
    except FileNotFoundError:
        return Ledger()
    entries, damaged = [], []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entries.append({**entry, "case": str(entry["case"]), "revision": int(entry["revision"])})
        except (LookupError, TypeError, ValueError, RecursionError):
            damaged.append(number)
    return Ledger(tuple(entries), tuple(damaged))


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
    with (store / LEDGER).open("ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            # A line that was cut short must not swallow this one.
            line = line if file.read(1) == b"\n" else b"\n" + line
        try:
            written = file.write(line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes fit")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise
