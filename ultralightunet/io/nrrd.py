"""NRRD, read and written here: a library's own reader takes decimals by the language of the computer, and damage for voxels."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Affine, Segmentation, Source
from .class_names import KEY, text_of
from .data_files import read_parts
from .geometry import itk_from_affine, lies_flat
from .nrrd_header import NrrdHeader, read_nrrd_header, sizes_of
from .nrrd_place import place_of
from .series import Series
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

_SERIES = ("time", "list", "domain", "space", "none", "???", "")
"""Kinds of an axis that is no direction in space and whose samples are images of their own; of any other kind they are channels."""
_RED_GREEN_BLUE = {"rgb-color": 3, "3-color": 3, "rgba-color": 4, "4-color": 4}
_KINDS = {*_SERIES, *_RED_GREEN_BLUE} | {
    "point", "vector", "covariant-vector", "normal", "stub", "scalar", "complex", "2-vector", "hsv-color", "xyz-color", "3-vector",
    "3-gradient", "3-normal", "4-vector", "quaternion", "2d-symmetric-matrix", "2d-masked-symmetric-matrix", "2d-matrix",
    "2d-masked-matrix", "3d-symmetric-matrix", "3d-masked-symmetric-matrix", "3d-matrix", "3d-masked-matrix",
}  # fmt: skip


def read_nrrd(path: Path) -> Series:
    """An image, or a series of them.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        header = read_nrrd_header(path)
        sizes = sizes_of(header)
        kinds = _kinds(header, sizes)
        place = place_of(header, sizes, kinds)
        array, behind = _voxels(header, sizes)
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(f"expected an NRRD image, found a damaged or other file {path} ({error}); copy or export it again") from error
    volumes, channels = _volumes(array, kinds, place.axes, path)
    notes = list(place.notes)
    if behind:
        notes.append(f"{behind} bytes behind the voxels that the header tells of were passed over")
    return Series(volumes, place.affine, channels, place.sized, Source(path, "nrrd", place.header), tuple(notes))


def _kinds(header: NrrdHeader, sizes: Sequence[int]) -> list[str]:
    """What each axis is, in lower case.

    Raises:
        ValueError: for a kind that there is not, or one that has another number of samples.
    """
    kinds = [kind.lower() for kind in header.words("kinds", len(sizes)) or [""] * len(sizes)]
    for kind, size in zip(kinds, sizes, strict=True):
        if kind not in _KINDS or _RED_GREEN_BLUE.get(kind, size) != size:
            raise ValueError(f"expected a kind of axis that NRRD knows, found {kind[:40]!r} with {size} samples")
    return kinds


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
    if any(kinds[axis] in ("hsv-color", "xyz-color") for axis in parts):
        raise InputError(f"expected colours as red, green and blue, found {kinds[parts[0]]} in {path}; save it as RGB")
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
