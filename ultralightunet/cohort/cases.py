"""One scan of a cohort: its name, its files, and what tells whether they have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from ..io.dicom import dicom_paths

_PARTS = {
    ".hdr": (".img",),
    ".hdr.gz": (".img.gz",),
    ".img": (".hdr",),
    ".img.gz": (".hdr.gz",),
    ".mhd": (".raw", ".zraw"),
    ".nhdr": (".raw", ".raw.gz"),
}
"""Suffixes of the files that hold the voxels of a header of its own."""


@dataclass(frozen=True)
class Case:
    """One scan.

    Attributes:
        name: tells it apart from every other one of its cohort; a path in the cohort's folder, with "/" and without a suffix.
        image: the file, or the folder of a DICOM series.
        source: the same as a person may read it, from the cohort's folder on.
        stem: where its results go in the output folder, with "/" and without a suffix.
        series: Series Instance UID, where the folder holds several series; else "".
        uri: of the image in a BIDS data set, "" outside of one.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet.cohort import Case
        >>> Case("sub-01/T1", Path("scans/sub-01/T1.nii.gz")).stem
        'labels/sub-01/T1'
    """

    name: str
    image: Path
    source: str = ""
    stem: str = ""
    series: str = ""
    uri: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", readable(self.source or str(self.image)))
        object.__setattr__(self, "stem", self.stem or f"labels/{self.name}")

    def facts(self) -> dict[str, str]:
        """The case for another process."""
        return {name: str(value) for name, value in vars(self).items()}

    def fingerprint(self) -> str:
        """Size and time of its files; "" if they cannot be looked at, which whoever reads them will tell in a sentence."""
        try:
            found = [path.stat() for path in files_of(self.image)]
        except OSError:
            return ""
        return f"{len(found)}-{sum(file.st_size for file in found)}-{max(file.st_mtime_ns for file in found)}" if found else ""


def case_from(facts: Mapping[str, Any]) -> Case:
    """The case that `Case.facts` tells of."""
    return Case(**{**facts, "image": Path(facts["image"])})


def readable(text: str) -> str:
    """`text` without what no file of text can hold: names of files need not be characters."""
    return text.encode("utf-8", "backslashreplace").decode()


def by_name(cases: Iterable[Case]) -> tuple[Case, ...]:
    """The cases in the order of their names.

    Raises:
        InputError: if two have one name.
    """
    # Lower case, because these names are one file on Windows and macOS.
    ordered = sorted(cases, key=lambda case: (case.name.lower(), case.source))
    for first, second in pairwise(ordered):
        if first.name.lower() == second.name.lower():
            raise InputError(
                f"expected images with different names, found {first.source} and {second.source}, both {readable(first.name)}; "
                "rename one, leave one out with --match, or name them in a list with the columns image and name"
            )
    return tuple(ordered)


def in_shard(cases: Iterable[Case], number: int, count: int) -> tuple[Case, ...]:
    """Those of part `number` of `count`, from 1; which part a case belongs to depends on its name alone, so that it stays the same in a
    folder that grows.

    Raises:
        InputError: if there is no such part.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet.cohort import Case, in_shard
        >>> cases = [Case(f"scan {n}", Path(f"{n}.nii.gz")) for n in range(10)]
        >>> sorted(len(in_shard(cases, n, 3)) for n in (1, 2, 3))
        [3, 3, 4]
    """
    if not 1 <= number <= count:
        raise InputError(f"expected a part from 1/{max(count, 1)} to {max(count, 1)}/{max(count, 1)}, found {number}/{count}")
    return tuple(case for case in cases if _number_of(case.name) % count == number - 1)


def safe_name(parts: Sequence[str]) -> str:
    """A name that leads nowhere but further down, from the parts of a path."""
    kept = [part for part in parts if part not in ("", ".", "..", os.sep)]
    return str(PurePosixPath(*kept)) if kept else ""


def _number_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big")


def files_of(image: Path) -> list[Path]:
    """The files that an image is made of."""
    if image.is_dir():
        return list(dicom_paths(image))
    found = [image]
    name = image.name.lower()
    for suffix, others in _PARTS.items():
        if name.endswith(suffix):
            stem = image.name[: len(image.name) - len(suffix)]
            found += [part for other in others if (part := image.with_name(stem + other)).is_file()]
    return found
