"""MetaImage, read and written here: ITK's own reader follows names anywhere, and takes damaged or missing voxels for others.

https://itk.org/Wiki/ITK/MetaIO/Documentation describes the format.
"""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Affine, Segmentation, Source
from .class_names import KEY, text_of
from .data_files import MOST_FILES, Part, file_beside, files_of_pattern, read_parts
from .geometry import itk_from_affine, lies_flat, ras_from_lps
from .series import Series
from .text_numbers import numbers, whole_number, whole_numbers
from .units import millimetres

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_OTHER_NAMES = {
    "Position": "Offset",
    "Origin": "Offset",
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
_FIELDS = (
    "ObjectType", "NDims", "DimSize", "ElementType", "ElementDataFile", "ElementSpacing", "ElementSize", "Offset", "Position", "Origin",
    "TransformMatrix", "Rotation", "Orientation", "CenterOfRotation", "DistanceUnits", "BinaryData", "BinaryDataByteOrderMSB",
    "ElementByteOrderMSB", "CompressedData", "CompressedDataSize", "HeaderSize", "ElementNumberOfChannels",
)  # fmt: skip
"""Those that say what and where the voxels are; programs may add others."""

_LONGEST = 1 << 24
"""Bytes of a header."""


def read_metaimage(path: Path) -> Series:
    """An image, or a series of them.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        fields, start = _header(path)
        dims = whole_number(fields["NDims"])
        if not 2 <= dims <= 8:
            raise ValueError(f"expected 2 to 8 axes, found {dims}")
        sizes = whole_numbers(fields["DimSize"], dims)
        if min(sizes) < 1:
            raise ValueError(f"expected voxels along every axis, found sizes {fields['DimSize'][:80]}")
        affine, unit, sized, notes = _place(fields, dims)
        array, channels, behind = _voxels(path, fields, sizes, start)
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(f"expected a MetaImage image, found a damaged or other file {path} ({error}); copy or export it again") from error
    # Axes behind the third, the first ones of the array, count volumes.
    volumes = array.reshape((-1, *array.shape[max(dims - 3, 0) :]))
    if behind:
        notes.append(f"{behind} bytes behind the voxels that the header tells of were passed over")
    return Series(volumes, affine, channels, sized, Source(path, "metaimage", {"unit": unit or "mm"}), tuple(notes))


def read_metaimage_header(path: Path) -> dict[str, str]:
    """The fields by name.

    Raises:
        OSError, ValueError: if it is no such header.
    """
    return _header(path)[0]


def _header(path: Path) -> tuple[dict[str, str], int]:
    """The fields, and how many bytes they take; the last one names the data.

    Raises:
        ValueError: if it is no such header.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            line = file.readline(_LONGEST)
            if not line or file.tell() > _LONGEST:
                raise ValueError("it does not begin with a MetaImage header")
            found = re.match(r"\s*([^=:]*[^=:\s])\s*[=:](.*)", line.decode("utf-8", "replace"))
            if found is None:
                if line.strip():
                    raise ValueError(f"expected a field of MetaImage, found {line[:40]!r}")
                continue
            _take(found[1], found[2].strip(), fields)
        start = file.tell()
        if fields["ElementDataFile"].split()[:1] == ["LIST"]:
            fields["LIST"] = file.read(_LONGEST).decode("utf-8", "surrogateescape")
    if not {"NDims", "DimSize", "ElementType"} <= fields.keys() or fields.get("ObjectType", "Image") != "Image":
        raise ValueError("it does not begin with the header of a MetaImage image")
    return fields, start


def _take(name: str, value: str, fields: dict[str, str]) -> None:
    # A letter that was damaged would turn a field into one that nobody reads, and 2 mm into 1.
    near = difflib.get_close_matches(name, _FIELDS, 1, 0.85) if name not in _FIELDS else []
    if near and abs(len(near[0]) - len(name)) < 2:
        raise ValueError(f"expected the field {near[0]}, found {name[:40]!r}")
    name = _OTHER_NAMES.get(name, name)
    if name in fields:
        raise ValueError(f"expected each field once, found {name[:40]!r} twice")
    fields[name] = value


def _flag(fields: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = fields.get(name, str(default)).lower()
    if text not in ("true", "false", "t", "f", "1", "0"):
        raise ValueError(f"expected {name} to be True or False, found {text[:40]!r}")
    return text in ("true", "t", "1")


def _place(fields: Mapping[str, str], dims: int) -> tuple[Affine, str | None, bool, list[str]]:
    """Affine, unit of length (None if not known), whether the size of a voxel is known, and what is to be said of them."""
    told = fields.get("ElementSpacing", fields.get("ElementSize", " ".join(["1"] * dims)))
    spacing = np.array(numbers(told, dims))
    offset = np.array(numbers(fields.get("Offset", " ".join(["0"] * dims)), dims))
    axes = np.eye(dims)
    if "TransformMatrix" in fields:
        # Each row is the direction of one axis of the array.
        axes = np.reshape(numbers(fields["TransformMatrix"], dims * dims), (dims, dims)).T
    space = min(dims, 3)
    axes, spacing, notes = axes[:space, :space], spacing[:space], []
    if np.abs(np.linalg.norm(axes, axis=0) - 1).max() > 0.01:
        notes.append(
            "the header's TransformMatrix makes voxels of another size than its ElementSpacing says; "
            f"voxels of {_sizes(np.linalg.norm(axes, axis=0) * spacing)} were taken, as ITK places them"
        )
    if "ElementSpacing" in fields and "ElementSize" in fields:
        size = np.array(numbers(fields["ElementSize"], dims))[:space]
        if not np.allclose(np.abs(size), np.abs(spacing), rtol=0.01):
            notes.append(f"the header says that voxels lie {_sizes(spacing)} apart and are {_sizes(size)} large; the former was taken")
    unit = fields.get("DistanceUnits", "mm")
    length = millimetres(unit)
    if length is None:
        notes.append(f"the header gives voxel sizes in {unit[:40]!r}, so millimetres are not known")
    sized = length is not None and not fields.keys().isdisjoint({"ElementSpacing", "ElementSize"})
    # A unit without sizes says nothing: labels in no unit lie on such an image only if it was read in none.
    scale = length if length is not None and sized else 1.0
    lps = np.eye(4)
    lps[:space, :space] = axes * spacing * scale
    lps[:space, 3] = offset[:space] * scale
    return ras_from_lps(lps), None if length is None else unit, sized, notes


def _sizes(values: NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.4g}" for value in np.abs(values))


def _voxels(path: Path, fields: Mapping[str, str], sizes: list[int], start: int) -> tuple[NDArray[Any], int, int]:
    """Voxels, the slowest axis first and channels last, how many these are, and how many bytes lie behind them."""
    kind = fields["ElementType"].removesuffix("_ARRAY")
    if kind not in _TYPES:
        raise ValueError(f"expected numbers as voxels, found the type {kind[:40]!r}")
    channels = whole_number(fields.get("ElementNumberOfChannels", "1"))
    if channels < 1:
        raise ValueError(f"expected at least one channel, found {channels}")
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if _flag(fields, "BinaryDataByteOrderMSB", default=False) else "<")
    packing = "" if _flag(fields, "BinaryData", default=True) else "text"
    if _flag(fields, "CompressedData", default=False):
        packing = "zlib"
    skip = whole_number(fields.get("HeaderSize", "0"))
    if skip < (0 if packing else -1):
        raise ValueError(f"expected a HeaderSize of at least 0, found {skip}")
    parts = _parts(path, fields, start, skip)
    if packing == "zlib" and parts[0].attached:
        claimed = whole_number(fields.get("CompressedDataSize", "0"))
        if claimed > path.stat().st_size - start:
            raise EOFError(f"expected {claimed} bytes of packed voxels, found {path.stat().st_size - start}")
    array, behind = read_parts(parts, dtype, prod(sizes) * channels, packing, path)
    return array.reshape((*sizes[::-1], channels) if channels > 1 else sizes[::-1]), channels, behind


def _parts(path: Path, fields: Mapping[str, str], start: int, skip: int) -> list[Part]:
    name = fields["ElementDataFile"]
    if name.upper() == "LOCAL":
        return [Part(path, start, attached=True)]
    if "LIST" in fields:
        names = [line.strip() for line in fields["LIST"].splitlines() if line.strip()]
        if not 0 < len(names) <= MOST_FILES:
            raise InputError(f"expected a list of data files in {path}, found {len(names)} names; mend the list")
        files = [file_beside(path, line) for line in names]
    elif "%" in name and not (path.parent / name).is_file():
        files = files_of_pattern(path, name)
    else:
        files = [file_beside(path, name)]
    return [Part(file, -1 if skip < 0 else skip) for file in files]


def write_metaimage(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (k, j, i) or (j, i) with the geometry and the classes of `segmentation` and nothing else.

    Raises:
        OutputError: if the affine is sheared.
        OSError: if it cannot be written.
    """
    if labels.ndim == 2 and not lies_flat(segmentation.affine):
        labels = labels[np.newaxis]
    dims = labels.ndim
    unit = str(segmentation.source.header.get("unit", "mm")) if segmentation.source.format == "metaimage" else "mm"
    unit = unit if segmentation.has_spacing else "?"
    affine = segmentation.affine.copy()
    affine[:3] /= millimetres(unit) or 1.0
    origin, spacing, direction = itk_from_affine(affine, dims)
    little = np.ascontiguousarray(labels, dtype=labels.dtype.newbyteorder("<"))
    blob = zlib.compress(little.data, 5)
    fields = {
        "ObjectType": "Image",
        "NDims": str(dims),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": str(len(blob)),
        "TransformMatrix": _written(np.reshape(direction, (dims, dims)).T.ravel().tolist()),
        "Offset": _written(origin),
        "ElementSpacing": _written(spacing),
        **({} if unit == "mm" else {"DistanceUnits": unit}),
        "DimSize": " ".join(map(str, labels.shape[::-1])),
        "ElementType": next(name for name, kind in _TYPES.items() if kind == little.dtype.str[1:]),
        **({KEY: text} if (text := text_of(segmentation)) else {}),
        "ElementDataFile": "LOCAL",
    }
    path.write_bytes("".join(f"{name} = {value}\n" for name, value in fields.items()).encode() + blob)


def _written(values: list[float]) -> str:
    # Python writes the shortest text that reads back to the same number, with a decimal point in every language.
    return " ".join(repr(float(value)) for value in values)
