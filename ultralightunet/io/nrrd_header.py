"""The text header of an NRRD file, read strictly: a field that the format does not know is damage, not a remark.

http://teem.sourceforge.net/nrrd/format.html describes the format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import InputError
from .data_files import MOST_FILES, Part, file_beside, files_of_pattern
from .text_numbers import whole_number, whole_numbers

_FIELDS = {
    "content", "number", "type", "block size", "dimension", "space", "space dimension", "sizes", "spacings", "thicknesses", "axis mins",
    "axis maxs", "space directions", "centerings", "kinds", "labels", "units", "min", "max", "old min", "old max", "endian", "encoding",
    "line skip", "byte skip", "sample units", "space units", "space origin", "measurement frame", "data file",
}  # fmt: skip
_OTHER_NAMES = {
    "centers": "centerings",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
    "blocksize": "block size",
    "byteskip": "byte skip",
    "lineskip": "line skip",
    "datafile": "data file",
    "oldmin": "old min",
    "oldmax": "old max",
    "sampleunits": "sample units",
}

_LONGEST = 1 << 24
"""Bytes of a header; those of segmentations with hundreds of segments have some hundred thousand."""

_ESCAPES = {"\\n": "\n", "\\\\": "\\"}


@dataclass(frozen=True)
class NrrdHeader:
    """What the header says.

    Attributes:
        path: of the file.
        fields: by their names in the format's description.
        pairs: keys and values that a program has added.
        parts: where the voxels are.
    """

    path: Path
    fields: Mapping[str, str]
    pairs: Mapping[str, str]
    parts: tuple[Part, ...]

    def words(self, name: str, count: int) -> list[str] | None:
        """The words of a field with one for each axis, in quotes or not; None where there is no such field.

        Raises:
            ValueError: if there are not `count`.
        """
        if name not in self.fields:
            return None
        text = self.fields[name]
        found = re.findall(r'"((?:[^"\\]|\\.)*)"', text) if '"' in text else text.split()
        if len(found) != count:
            raise ValueError(f"expected {count} {name}, found {text[:80]!r}")
        return found


def read_nrrd_header(path: Path) -> NrrdHeader:
    """The header of a `.nrrd` or `.nhdr`.

    Raises:
        InputError: if it names data files that are not there, or that lie elsewhere.
        OSError: if the file cannot be read.
        ValueError: if it is no such header.
    """
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    names: list[str] | None = None
    with path.open("rb") as file:
        if not re.fullmatch(rb"NRRD000[1-5]\r?\n", file.readline(20)):
            raise ValueError("it does not begin with NRRD0001 to NRRD0005")
        for line in _lines(file):
            if names is not None:
                names.append(line)
            elif not line:
                break
            elif not line.startswith("#"):
                _take(line, fields, pairs)
            if names is None and fields.get("data file", "").split(" ")[0] == "LIST":
                names = []
        start = file.tell()
    skip = {name: whole_number(fields.get(name, "0")) for name in ("line skip", "byte skip")}
    if skip["line skip"] < 0 or skip["byte skip"] < (-1 if fields.get("encoding") == "raw" else 0):
        raise ValueError("it asks to pass over fewer than no bytes")
    return NrrdHeader(path, fields, pairs, tuple(_parts(path, fields, names, start, skip["line skip"], skip["byte skip"])))


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Lines of a header until the file ends; the caller stops at the empty one."""
    while line := file.readline(_LONGEST):
        if file.tell() > _LONGEST:
            raise ValueError("its header does not end")
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _take(line: str, fields: dict[str, str], pairs: dict[str, str]) -> None:
    """Put a line where it belongs: `field: value`, or `key:=value`."""
    found = re.match(r"(.+?):([ =]|$)(.*)", line)
    if found is None:
        raise ValueError(f"expected a field of NRRD, found {line[:40]!r}")
    name, value = found[1], found[3]
    if found[2] == "=":
        pairs[name] = re.sub(r"\\[n\\]", lambda escape: _ESCAPES[escape[0]], value)
        return
    name = _OTHER_NAMES.get(name.lower(), name.lower())
    if name not in _FIELDS:
        raise ValueError(f"expected a field of NRRD, found {name[:40]!r}")
    if name in fields:
        raise ValueError(f"expected each field once, found {name!r} twice")
    fields[name] = value.strip()


def _parts(path: Path, fields: Mapping[str, str], names: list[str] | None, start: int, lines: int, skip: int) -> list[Part]:
    from_end = skip < 0
    skip = max(skip, 0)
    data = fields.get("data file")
    if data is None:
        return [Part(path, -1 if from_end else start, lines, skip, attached=True)]
    if names is not None:
        files = [file_beside(path, name) for name in names if name.strip()][: MOST_FILES + 1]
        if not 0 < len(files) <= MOST_FILES:
            raise InputError(f"expected a list of data files in {path}, found {len(files)} names; mend the list")
    elif re.search(r"%\d*d", data) and len(data.split()) > 2:
        files = files_of_pattern(path, re.sub(r"(\s+-?\d+){4}$", lambda words: " " + " ".join(words[0].split()[:3]), data))
    else:
        files = [file_beside(path, data)]
    return [Part(file, -1 if from_end else 0, lines, skip) for file in files]


def sizes_of(header: NrrdHeader) -> list[int]:
    """Voxels along each axis, the fastest first.

    Raises:
        ValueError: if the header does not say so.
    """
    for name in ("type", "dimension", "sizes", "encoding"):
        if name not in header.fields:
            raise ValueError(f"expected the field {name!r}, found none")
    dimension = whole_number(header.fields["dimension"])
    if not 1 <= dimension <= 16:
        raise ValueError(f"expected 1 to 16 axes, found {dimension}")
    sizes = whole_numbers(header.fields["sizes"], dimension)
    if min(sizes) < 1:
        raise ValueError(f"expected voxels along every axis, found sizes {header.fields['sizes'][:80]}")
    return sizes
