"""Where an NRRD file's image lies: the axes that run in space, their directions, and the unit of length."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..volume import Affine
from .geometry import ras_from_lps
from .nrrd_header import NrrdHeader
from .text_numbers import number, whole_number
from .units import millimetres

_SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "scanner-xyz": (-1, -1, 1),
    "3d-right-handed": (-1, -1, 1),
    "3d-left-handed": (-1, -1, 1),
}
"""Signs that take a space's axes to RAS; those that say nothing of the patient are read as LPS, as ITK does."""
_SHORT = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": "left-posterior-superior"}

_IN_SPACE = ("domain", "space", "none", "???", "", "time")
"""Kinds of an axis that runs in space where the header names no directions."""


@dataclass(frozen=True)
class Place:
    """Which axes, counted from the fastest, run in space, and how; with what is to be kept and said of it."""

    axes: tuple[int, ...]
    affine: Affine
    sized: bool
    header: Mapping[str, Any]
    notes: tuple[str, ...]


def place_of(header: NrrdHeader, sizes: Sequence[int], kinds: Sequence[str]) -> Place:
    """What the header says of the place of its image.

    Args:
        header: of the file.
        sizes: voxels along each axis, the fastest first.
        kinds: what each axis is, in lower case.

    Raises:
        ValueError: if it says no place, or two.
    """
    if "space directions" not in header.fields:
        if "space" in header.fields and "spacings" in header.fields:
            raise ValueError("expected space directions for the space that it names, found spacings")
        return _place_without_space(header, sizes, kinds)
    name, dims, notes = _space(header)
    vectors = [None if text == "none" else _vector(text, dims) for text in _vectors(header, len(sizes))]
    # The axis of time has a direction as well, along the fourth dimension.
    axes = tuple(axis for axis, vector in enumerate(vectors) if vector is not None and (dims < 4 or any(vector[:3])))
    told = header.words("spacings", len(sizes)) or ["nan"] * len(sizes)
    if any(told[axis].lower() != "nan" for axis in axes):
        raise ValueError("expected the size of a voxel once, found it in space directions and spacings")
    if len(axes) not in (2, 3):
        raise ValueError(f"expected two or three axes with a direction in space, found {len(axes)}")
    length, unit, unit_notes = _unit((header.words("space units", dims) or ())[:3])
    origin = _vector(header.fields["space origin"], dims) if "space origin" in header.fields else [0.0] * dims
    columns = np.zeros((3, 4))
    for column, vector in enumerate([*(vectors[axis] for axis in axes), *[None] * (3 - len(axes)), origin]):
        if vector is not None:
            columns[: len(vector[:3]), column] = vector[:3]
    if len(axes) == 2:
        across = np.cross(columns[:, 0], columns[:, 1])
        columns[:, 2] = across / np.maximum(np.linalg.norm(across), 1e-12)
    affine = np.eye(4)
    affine[:3] = np.array(_SPACES.get(name, (-1, -1, 1)))[:, np.newaxis] * columns * length
    return Place(axes, affine, unit is not None, {"unit": unit or "mm"}, (*notes, *unit_notes))


def _space(header: NrrdHeader) -> tuple[str, int, list[str]]:
    """The space's name without its time, its dimensions, and what is to be said of it."""
    fields = header.fields
    if "space" not in fields:
        dims = whole_number(fields["space dimension"])
        name, with_time = "", 0
        if not 2 <= dims <= 8:
            raise ValueError(f"expected a space of two to eight dimensions, found {dims}")
    else:
        name = fields["space"].strip('"').lower()
        name = {f"{short}t": f"{full}-time" for short, full in _SHORT.items()}.get(name, _SHORT.get(name, name))
        with_time = int(name.endswith("-time"))
        name = name.removesuffix("-time")
        dims = 3 + with_time
        if name not in _SPACES:
            raise ValueError(f"expected a space such as left-posterior-superior, found {fields['space'][:40]!r}")
    if name in _SHORT.values() or (not name and dims != 3):
        # ITK names the space of volumes only.
        return name, dims, []
    said = f"names the space {name}" if name else "names no space"
    return name, dims, [f"the header {said}, which does not say how the patient lies in it; it was read as left-posterior-superior"]


def _place_without_space(header: NrrdHeader, sizes: Sequence[int], kinds: Sequence[str]) -> Place:
    """Where only sizes are told: as ITK places it, its axes running to left, posterior and superior."""
    axes = tuple(axis for axis, kind in enumerate(kinds) if kind in _IN_SPACE)[:3]
    if len(axes) < 2:
        raise ValueError(f"expected two or three axes in space, found {len(axes)}")
    told = header.words("spacings", len(sizes)) or ["nan"] * len(sizes)
    spacing = [0.0 if told[axis].lower() == "nan" else number(told[axis]) for axis in axes]
    if any(size == 0 and told[axis].lower() != "nan" for size, axis in zip(spacing, axes, strict=True)):
        raise ValueError(f"expected spacings above zero, found {header.fields['spacings'][:80]}")
    named = header.words("units", len(sizes))
    length, unit, notes = _unit([named[axis] for axis in axes] if named else None)
    lps = np.eye(4)
    least = header.words("axis mins", len(sizes))
    centres = header.words("centerings", len(sizes)) or ["cell"] * len(sizes)
    if not {centre.lower() for centre in centres} <= {"cell", "node", "none", "???"}:
        raise ValueError(f"expected centerings cell or node, found {header.fields['centerings'][:80]!r}")
    # A unit without sizes says nothing: labels in no unit lie on such an image only if it was read in none.
    length = length if all(spacing) else 1.0
    for column, size in enumerate(spacing):
        lps[column, column] = (size or 1.0) * length
    if least and all(spacing) and all(least[axis].lower() != "nan" for axis in axes):
        for column, axis in enumerate(axes):
            half = 0.0 if centres[axis].lower() == "node" else 0.5 * spacing[column]
            lps[column, 3] = (number(least[axis]) + half) * length
    return Place(axes, ras_from_lps(lps), unit is not None and all(spacing), {"unit": unit or "mm"}, tuple(notes))


def _unit(names: Sequence[str] | None) -> tuple[float, str | None, list[str]]:
    """How long the unit is in mm, its name if it is one and known, and what is to be said of it."""
    found = [name.strip() for name in names or ()]
    if not any(found):
        return 1.0, "mm", []
    lengths = {millimetres(name) for name in found}
    length = lengths.pop()
    if length is None or lengths:
        return 1.0, None, [f"the header gives voxel sizes in {', '.join(sorted(set(found)))}, so millimetres are not known"]
    return length, found[0], []


def _vectors(header: NrrdHeader, count: int) -> list[str]:
    found = re.findall(r"none|\([^()]*\)", header.fields.get("space directions", ""))
    if len(found) != count or re.sub(r"none|\([^()]*\)|\s", "", header.fields["space directions"]):
        raise ValueError(f"expected {count} space directions, found {header.fields.get('space directions', 'none')[:80]!r}")
    return found


def _vector(text: str, dims: int) -> list[float]:
    words = text.strip().removeprefix("(").removesuffix(")").split(",")
    if len(words) != dims:
        raise ValueError(f"expected a vector of {dims} numbers, found {text[:80]!r}")
    return [number(word) for word in words]
