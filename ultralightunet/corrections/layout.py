"""Where things lie in a store, and that nothing else is taken for them: a store may come from a stranger."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import InputError

STORE, LOCK, LEDGER, DATASET, INDEX = "store.json", ".lock", "ledger.jsonl", "dataset.json", "index.jsonl"
CASES, DERIVED = "cases", "derived"
FACTS, LABELS, PREDICTION, CHECKED = "facts.json", "labels.nii.gz", "prediction.nii.gz", "checked.nii.gz"

_CASE = re.compile(r"[0-9a-f]{16}")
_NUMBER = re.compile(r"[0-9]{4,9}")
_GROUP = re.compile(r"[pi][0-9a-f]{24}")
_HASHES = re.compile(r"([0-9a-f]{64} )+")


def is_case(name: str) -> bool:
    """Whether a case can be called so."""
    return _CASE.fullmatch(name) is not None


def is_group(name: str) -> bool:
    """Whether it is a pseudonym of ours, see `roles.group_of`."""
    return _GROUP.fullmatch(name) is not None


def are_hashes(texts: Iterable[str]) -> bool:
    """Whether each is a sha256, and there is one at least.

    Raises:
        TypeError: if one is no text.
    """
    return _HASHES.fullmatch(" ".join((*texts, ""))) is not None


def image_names(channels: int) -> tuple[str, ...]:
    """Files of an image, one for each channel."""
    return ("image.nii.gz",) if channels == 1 else tuple(f"image_{n:04d}.nii.gz" for n in range(channels))


def case_names(store: Path) -> list[str]:
    """The folders in `cases`, sorted; the names are as they were found.

    Raises:
        OSError: if they cannot be listed.
    """
    try:
        with os.scandir(store / CASES) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except FileNotFoundError:
        return []


def revisions_in(case: Path) -> list[Path]:
    """The folder of every revision of a case, the oldest first.

    Raises:
        OSError: if they cannot be listed.
    """
    with os.scandir(case) as entries:
        names = [entry.name for entry in entries if _NUMBER.fullmatch(entry.name) and entry.is_dir()]
    return [case / name for name in sorted(names, key=int)]


def revision_folders(store: Path) -> Iterator[Path]:
    """The folder of every revision, those of a case together and the oldest first.

    Raises:
        OSError: if they cannot be listed.
    """
    for name in case_names(store):
        yield from revisions_in(store / CASES / name)


def inside(store: Path, path: Path) -> str:
    """A path as it reads inside the store."""
    return path.relative_to(store).as_posix()


def own(store: Path, path: Path) -> Path:
    """`path`, which lies in the store, if no link on the way leads out of it.

    Raises:
        InputError: if one does: what lies elsewhere is not the store's, to be read, written or exported.
    """
    steps = itertools.accumulate((str(store), *path.relative_to(store).parts), os.path.join)
    is_linked = any(os.path.islink(step) for step in itertools.islice(steps, 1, None))
    if is_linked and not path.resolve().is_relative_to(store.resolve()):
        raise InputError(f"expected {inside(store, path)} in the store {store}, found a link that leads out of it; copy the file there")
    return path


def check_own(store: Path) -> None:
    """See that what is read and written by its name lies in the store, and is what its name says.

    Raises:
        InputError: if a link leads out of it, or a file is none, nor a folder one.
    """
    for name in (STORE, LOCK, LEDGER, DATASET, INDEX, CASES, DERIVED):
        path = own(store, store / name)
        is_right = path.is_dir() if name in (CASES, DERIVED) else path.is_file()
        if os.path.lexists(path) and not is_right:
            kind = "folder" if name in (CASES, DERIVED) else "file"
            raise InputError(f"expected {name} in the store {store} to be a {kind}, found another thing; take it from a copy of the store")
