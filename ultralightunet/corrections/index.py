"""The facts of all corrections in one file, so that a large store answers at once; derived, and made anew where it does not fit.

A line is one correction: what is searched, its classes, its other facts, with tabs between. The last line says how the store looked when
it was written, and holds a checksum of the file: an index that another save came after, of whatever version of UltraLight, is not taken for
the whole.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..disk import read_small, replace_durably
from ..errors import UltraLightError
from ..models import LabelClass
from .classes import classes_from_json, classes_to_json, merged_all
from .layout import CASES, DATASET, FACTS, INDEX, LEDGER
from .records import Revision, parsed, parsed_classes, to_facts
from .roles import Role
from .turned import packed_grid

_LOG = logging.getLogger(__name__)

Stamp = tuple[int, ...]
"""Times and sizes of what every save changes."""


class Entry(NamedTuple):
    """What is known of a correction without its facts; names as those of `Revision`.

    Attributes:
        dims: axes of the image.
        grid: of the image, see `packed_grid`.
        case_changed: when a revision was last added to the folder of its case, in ns.
        facts_size: bytes of its file of facts.
        facts_changed: when that was written, in ns.
    """

    case: str
    number: int
    role: Role
    group: str
    dims: int
    channels: int
    modality: str
    class_count: int
    is_partly_checked: bool
    grid: str
    case_changed: int
    facts_size: int
    facts_changed: int

    @classmethod
    def of(cls, revision: Revision) -> Entry:
        """The entry of a correction that lies in its place.

        Raises:
            OSError: if it does not.
        """
        facts = os.lstat(revision.folder / FACTS)
        return cls(
            revision.case,
            revision.number,
            revision.role,
            revision.group,
            len(revision.shape),
            revision.channels,
            revision.modality,
            revision.class_count,
            revision.is_partly_checked,
            packed_grid(revision.shape, revision.channels, revision.affine),
            os.lstat(revision.folder.parent).st_mtime_ns,
            facts.st_size,
            facts.st_mtime_ns,
        )


@dataclass(frozen=True)
class Index:
    """What the file says.

    Attributes:
        entries: of all corrections that could be read, the older ones of a case first.
        facts: of each, as JSON: the classes, a tab, the rest.
        classes: of the store.
        unread: cases with a correction whose facts could not be read.
        left_out: cases that `dataset.json` does not name, because their labels could not be read.
        stamp: of the store.
        file: size and time of the file itself.
        size: bytes of the lines of all entries.
        checksum: of them.
    """

    entries: tuple[Entry, ...] = ()
    facts: tuple[str, ...] = ()
    classes: tuple[LabelClass, ...] = ()
    unread: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    stamp: Stamp = ()
    file: Stamp = ()
    size: int = 0
    checksum: int = 0

    @property
    def latest(self) -> dict[str, Entry]:
        """The last entry of each case."""
        return {entry.case: entry for entry in self.entries}

    def is_current(self, store: Path) -> bool:
        """Whether no save came after it, none was broken off since, and no case was taken away."""
        return self.stamp == stamp_of(store) != () and self.file == _stamp_of_file(store) != ()


def stamp_of(store: Path) -> Stamp:
    """Times and sizes of what every save changes; () where there is nothing yet."""
    try:
        cases, ledger, dataset = (os.stat(store / name) for name in (CASES, LEDGER, DATASET))
    except OSError:
        return ()
    return cases.st_mtime_ns, ledger.st_size, ledger.st_mtime_ns, dataset.st_size, dataset.st_mtime_ns


def _stamp_of_file(store: Path) -> Stamp:
    try:
        found = os.stat(store / INDEX)
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns


def read_index(store: Path) -> Index | None:
    """What the file says; None where there is none, or it is damaged."""
    try:
        # First, so that a file which is changed meanwhile is taken for another one.
        file = _stamp_of_file(store)
        body, _, checksum = read_small(store / INDEX, most=2**31).rstrip(b"\n").rpartition(b"\t")
        size = body.rfind(b"\n") + 1
        of_lines = zlib.crc32(body[:size])
        if zlib.crc32(body[size:], of_lines) != int(checksum, 16):
            raise ValueError("its checksum is another one")
        state = json.loads(body[size:])
        lines = [line.partition("\t") for line in body[:size].decode("ascii").splitlines()]
        return Index(
            tuple(map(Entry._make, json.loads(f"[{','.join(line[0] for line in lines)}]"))),
            tuple(line[2] for line in lines),
            classes_from_json(state["classes"]),
            frozenset(state["unread"]),
            frozenset(state["left_out"]),
            tuple(state["stamp"]),
            file,
            size,
            of_lines,
        )
    except OSError:
        return None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        _LOG.info("the index of %s is made anew: %s", store, error)
        return None


def current_index(store: Path) -> Index | None:
    """What the file says if that is all; else None."""
    index = read_index(store)
    return index if index is not None and index.is_current(store) else None


def revision_of(store: Path, entry: Entry, facts: str) -> Revision | None:
    """The correction that an index tells of; None if nobody of us wrote that."""
    try:
        classes, _, rest = facts.partition("\t")
        return parsed(store / f"{CASES}/{entry.case}/{entry.number:04d}", json.loads(rest), _classes(classes))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, UltraLightError):
        return None


def write_index(store: Path, revisions: Sequence[Revision], *, unread: frozenset[str], left_out: frozenset[str]) -> Index:
    """Write the whole file; if it cannot be written the next save does it.

    Args:
        store: its folder, with ledger and dataset as they are to be.
        revisions: all that can be read, the older ones of a case first.
        unread: see `Index`.
        left_out: see `Index`.

    Raises:
        OSError: if a correction is not in its place any more.
    """
    entries = tuple(Entry.of(revision) for revision in revisions)
    facts = tuple(map(_facts, revisions))
    classes = merged_all(revision.classes for revision in revisions)
    lines = b"".join(map(_line, entries, facts))
    try:
        replace_durably(store / INDEX, _sealed(lines, _state(store, classes, unread, left_out)))
    except OSError as error:
        _LOG.info("the index of %s cannot be written: %s", store, error)
    return Index(entries, facts, classes, unread, left_out, stamp_of(store), _stamp_of_file(store), len(lines), zlib.crc32(lines))


def break_seal(store: Path, index: Index) -> None:
    """Take the last line from the file: whatever becomes of the save that begins now, the index is not believed before it is through.

    A further revision of a case changes nothing by which an unfinished save could be seen later.

    Raises:
        OSError: if that cannot be done.
    """
    if (store / INDEX).exists():
        os.truncate(store / INDEX, index.size)


def append_to_index(store: Path, index: Index, revision: Revision, *, classes: Sequence[LabelClass], left_out: frozenset[str]) -> None:
    """Add a correction to the file that `index` was read from, with the store's lock held; one that is cut short is made anew."""
    try:
        line = _line(Entry.of(revision), _facts(revision))
        state = _state(store, classes, index.unread, left_out)
        with (store / INDEX).open("r+b") as file:
            file.seek(index.size)
            file.write(_sealed(line, state, index.checksum))
            file.truncate()
    except OSError as error:
        _LOG.info("the index of %s cannot be written: %s", store, error)


@functools.lru_cache(maxsize=64)
def _classes(text: str) -> tuple[LabelClass, ...]:
    """Most corrections of a store have the same ones."""
    return parsed_classes(json.loads(text))


def _facts(revision: Revision) -> str:
    facts = to_facts(revision)
    classes = facts.pop("classes")
    return f"{_packed(classes)}\t{_packed(facts)}"


def _line(entry: Entry, facts: str) -> bytes:
    return f"{_packed(entry)}\t{facts}\n".encode()


def _state(store: Path, classes: Sequence[LabelClass], unread: frozenset[str], left_out: frozenset[str]) -> bytes:
    said = {"classes": classes_to_json(classes), "unread": sorted(unread), "left_out": sorted(left_out), "stamp": stamp_of(store)}
    return _packed(said).encode()


def _sealed(lines: bytes, state: bytes, checksum_before: int = 0) -> bytes:
    return lines + state + b"\t%08x\n" % zlib.crc32(lines + state, checksum_before)


def _packed(said: Any) -> str:
    return json.dumps(said, separators=(",", ":"), allow_nan=False)
