"""NRRD, read and written here: a library's own reader takes decimals by the language of the computer, and damage for voxels."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Affine, Segmentation, Source
from .class_names import KEY, text_of
from .data_files import read_parts
from .geometry import itk_from_affine, lies_flat, ras_from_lps
from .nrrd_header import NrrdHeader, read_nrrd_header, sizes_of
from .series import Series
from .text_numbers import number, whole_number
from .units import millimetres

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_BY_NAME = {name: kind for kind, names in _TYPES.items() for name in names}
_PACKINGS = {"raw": "", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2", "hex": "hex"} | dict.fromkeys(
    ("txt", "text", "ascii"), "text"
)

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

_SERIES = ("time", "list", "domain", "space", "none", "???", "")
"""Kinds of an axis that is no direction in space and whose samples are images of their own; of any other kind they are channels."""
_IN_SPACE = ("domain", "space", "none", "???", "", "time")


def read_nrrd(path: Path) -> Series:
    """An image, or a series of them.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        header = read_nrrd_header(path)
        sizes = sizes_of(header)
        kinds = [kind.lower() for kind in header.words("kinds", len(sizes)) or [""] * len(sizes)]
        place = _place(header, sizes, kinds)
        array, behind = _voxels(header, sizes)
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(f"expected an NRRD image, found a damaged or other file {path} ({error}); copy or export it again") from error
    volumes, channels = _volumes(array, kinds, place.axes, path)
    notes = list(place.notes)
    if behind:
        notes.append(f"{behind} bytes behind the voxels that the header tells of were passed over")
    return Series(volumes, place.affine, channels, place.sized, Source(path, "nrrd", place.header), tuple(notes))


def _voxels(header: NrrdHeader, sizes: Sequence[int]) -> tuple[NDArray[Any], int]:
    """Voxels, the slowest axis first, and how many bytes lie behind them."""
    kind = header.fields["type"].lower()
    encoding = header.fields["encoding"].lower()
    if kind not in _BY_NAME or encoding not in _PACKINGS:
        raise ValueError(f"expected numbers in a known packing, found type {kind[:40]!r}, encoding {encoding[:40]!r}")
    dtype: np.dtype[Any] = np.dtype(_BY_NAME[kind])
    if dtype.itemsize > 1 and _PACKINGS[encoding] != "text":
        order = header.fields.get("endian", "").lower()
        if order not in ("little", "big"):
            raise ValueError("expected the field 'endian', little or big")
        dtype = dtype.newbyteorder("<" if order == "little" else ">")
    array, behind = read_parts(header.parts, dtype, prod(sizes), _PACKINGS[encoding], header.path)
    return array.reshape(sizes[::-1]), behind


@dataclass(frozen=True)
class _Place:
    """Which axes, counted from the fastest, run in space, and how; with what is to be kept and said of it."""

    axes: tuple[int, ...]
    affine: Affine
    sized: bool
    header: Mapping[str, Any]
    notes: tuple[str, ...]


def _place(header: NrrdHeader, sizes: Sequence[int], kinds: Sequence[str]) -> _Place:
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
    return _Place(axes, affine, unit is not None, {"unit": unit or "mm"}, (*notes, *unit_notes))


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


def _place_without_space(header: NrrdHeader, sizes: Sequence[int], kinds: Sequence[str]) -> _Place:
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
    for column, size in enumerate(spacing):
        lps[column, column] = (size or 1.0) * length
    if least and all(spacing) and all(least[axis].lower() != "nan" for axis in axes):
        for column, axis in enumerate(axes):
            half = 0.0 if centres[axis].lower() == "node" else 0.5 * spacing[column]
            lps[column, 3] = (number(least[axis]) + half) * length
    return _Place(axes, ras_from_lps(lps), unit is not None and all(spacing), {"unit": unit or "mm"}, tuple(notes))


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


def _volumes(array: NDArray[Any], kinds: Sequence[str], in_space: Sequence[int], path: Path) -> tuple[NDArray[Any], int]:
    """The array as (t, k, j, i) or (t, j, i) and then channels, and how many these are."""
    last = array.ndim - 1
    others = [axis for axis in reversed(range(array.ndim)) if axis not in in_space]
    series = [axis for axis in others if kinds[axis] in _SERIES]
    parts = [axis for axis in others if kinds[axis] not in _SERIES]
    space = sorted(in_space, reverse=True)
    ordered = array.transpose([last - axis for axis in (*series, *space, *parts)])
    shape = ordered.shape[len(series) : len(series) + len(space)]
    channels = prod(array.shape[last - axis] for axis in parts)
    if len(parts) > 1 and channels > 1:
        raise InputError(f"expected numbers or colours as voxels, found {len(parts)} axes of parts in {path}; export its magnitude")
    if any(kinds[axis] == "complex" for axis in parts):
        raise InputError(f"expected voxels that are real numbers, found complex ones in {path}; export its magnitude")
    volumes = ordered.reshape((-1, *shape, *((channels,) if channels > 1 else ())))
    if channels == 4 and kinds[parts[0]] in ("rgba-color", "4-color"):
        # The fourth is opacity.
        return volumes[..., :3], 3
    return volumes, channels


def write_nrrd(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (k, j, i) or (j, i) with the geometry and the classes of `segmentation` and nothing else.

    Raises:
        OutputError: if the affine is sheared.
        OSError: if it cannot be written.
    """
    unit = str(segmentation.source.header.get("unit", "mm")) if segmentation.source.format == "nrrd" else "mm"
    pairs = {KEY: text} if (text := text_of(segmentation)) else None
    path.write_bytes(packed_nrrd(labels, segmentation.affine, unit=unit if segmentation.has_spacing else "", pairs=pairs))


def packed_nrrd(
    array: NDArray[Any], affine: Affine, *, channels: int = 1, unit: str = "mm", pairs: Mapping[str, str] | None = None, level: int = 5
) -> bytes:
    """The bytes of an NRRD file.

    Args:
        array: (k, j, i) or (j, i), then channels if there are several.
        affine: as `Volume.affine`.
        channels: as `Volume.channels`.
        unit: of length that the header shall use, "" for none: the size of a voxel is then not known.
        pairs: keys and values to be added, in order.
        level: of zlib.

    Raises:
        OutputError: if the affine is sheared: ITK's tools could not open the file.
    """
    dims = array.ndim - (channels > 1)
    if dims == 2 and not lies_flat(affine):
        array, dims = array[np.newaxis], 3
    scaled = affine.copy()
    scaled[:3] /= millimetres(unit) or 1.0
    origin, spacing, direction = itk_from_affine(scaled, dims)
    columns = (np.reshape(direction, (dims, dims)) * spacing + 0.0).T.tolist()
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    vectors = [_written(column) for column in columns]
    fields = {
        "type": _TYPES[little.dtype.str[1:]][-1].removesuffix("_t"),
        "dimension": str(array.ndim),
        **({"space": "left-posterior-superior"} if dims == 3 else {"space dimension": "2"}),
        "sizes": " ".join(map(str, array.shape[::-1] if channels == 1 else (channels, *array.shape[-2::-1]))),
        "space directions": " ".join(vectors if channels == 1 else ["none", *vectors]),
        "kinds": " ".join(["domain"] * dims if channels == 1 else ["RGB-color" if channels == 3 else "vector", *["domain"] * dims]),
        "endian": "little",
        "encoding": "gzip",
        "space origin": _written(origin),
    }
    if unit != "mm":
        fields["space units"] = " ".join([f'"{unit or "voxel"}"'] * dims)
    lines = ["NRRD0005", *(f"{name}: {value}" for name, value in fields.items())]
    lines += [f"{key}:={_escaped(value)}" for key, value in (pairs or {}).items()]
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    head = ("\n".join(lines) + "\n\n").encode()
    return b"".join((head, packer.compress(little.data), packer.flush()))


def _written(values: Sequence[float]) -> str:
    # Python writes the shortest text that reads back to the same number, with a decimal point in every language.
    return f"({','.join(repr(float(value)) for value in values)})"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
