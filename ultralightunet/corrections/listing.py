"""Every correction of a store: from its index where nothing changed since, from its own facts where something did."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from ..errors import InputError
from .index import Entry, read_index, revision_of
from .layout import CASES, FACTS, case_names, revisions_in
from .records import Revision, read_revision

_LOG = logging.getLogger(__name__)

_Known = dict[str, tuple[Entry, str]]
"""The revisions of a case by the names of their folders, the oldest first."""


def listed(store: Path, *, only_latest: bool = False) -> tuple[list[Revision], frozenset[str]]:
    """The corrections that can be read, those of a case together and the oldest first; of the others the log tells.

    Args:
        store: its folder.
        only_latest: the last one of each case only.

    Returns:
        Them, and the cases that have others, which cannot be read.

    Raises:
        OSError: if the store's folders cannot be listed.
    """
    index = read_index(store)
    known: dict[str, _Known] = {}
    if index is not None:
        for entry, facts in zip(index.entries, index.facts, strict=True):
            known.setdefault(entry.case, {})[f"{entry.number:04d}"] = (entry, facts)
    found: list[Revision] = []
    unread: set[str] = set()
    for case in case_names(store):
        of_case: list[Revision] = []
        known_here = known.get(case, {})
        for name in reversed(_names_in(store, case, known_here)):
            try:
                of_case.append(_revision(store, case, name, known_here.get(name)))
            except InputError as error:
                _LOG.warning("%s", error)
                unread.add(case)
                continue
            if only_latest:
                break
        found += reversed(of_case)
    return found, frozenset(unread)


def _names_in(store: Path, case: str, known: _Known) -> list[str]:
    """Folders of the revisions, the oldest first."""
    if known:
        names = list(known)
        facts = os.lstat(f"{store}/{CASES}/{case}")
        if stat.S_ISDIR(facts.st_mode) and facts.st_mtime_ns == known[names[-1]][0].case_changed:
            return names
    return [folder.name for folder in revisions_in(store / CASES / case)]


def _revision(store: Path, case: str, name: str, known: tuple[Entry, str] | None) -> Revision:
    if known is not None and _is_unchanged(f"{store}/{CASES}/{case}/{name}/{FACTS}", known[0]):
        revision = revision_of(store, *known)
        if revision is not None:
            return revision
    return read_revision(store / CASES / case / name)


def _is_unchanged(path: str, entry: Entry) -> bool:
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and (facts.st_size, facts.st_mtime_ns) == (entry.facts_size, entry.facts_changed)
