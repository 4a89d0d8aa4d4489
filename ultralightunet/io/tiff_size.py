"""How large the voxels of a TIFF are, from what ImageJ or OME noted; a resolution for printing says nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import tifffile

from .text_numbers import number
from .units import millimetres

_SMALLEST = 1e-6
"""mm; below a nanometre no voxel has a place."""


@dataclass(frozen=True)
class VoxelSize:
    """How large a voxel is.

    Attributes:
        size: mm along i, j and k; 0 along k where only pixels have a size, None where nothing is known.
        note: what a person should know of it, "" if nothing.
    """

    size: tuple[float, float, float] | None = None
    note: str = ""


def voxel_size(file: tifffile.TiffFile) -> VoxelSize:
    """What the notes in a file say."""
    if file.is_ome:
        return _of_ome(ome_pixels(file))
    if file.imagej_metadata:
        return _of_imagej(file.imagej_metadata, file.pages.first)
    return VoxelSize()


def ome_pixels(file: tifffile.TiffFile) -> dict[str, Any]:
    """What OME's notes say of the first image's pixels; nothing if there are none, or they are damaged."""
    try:
        found: Any = tifffile.xml2dict(file.ome_metadata or "") if file.is_ome else {}
    except SyntaxError:
        return {}
    for name in ("OME", "Image", "Pixels"):
        found = found.get(name) if isinstance(found, dict) else None
        found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, dict) else {}


def _of_ome(pixels: dict[str, Any]) -> VoxelSize:
    lengths = [pixels.get(f"PhysicalSize{axis}", 0) for axis in "XYZ"]
    units = [str(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XYZ"]
    return _in_millimetres(lengths, units)


def _of_imagej(notes: dict[str, Any], page: Any) -> VoxelSize:
    # ImageJ writes a micrometre's letter in this way.
    unit = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), str(notes.get("unit", "")))
    tags = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    pairs = [tag.value if tag is not None and isinstance(tag.value, tuple) and len(tag.value) == 2 else (0, 1) for tag in tags]
    lengths = [below / above if above else 0 for above, below in pairs]
    return _in_millimetres([*lengths, notes.get("spacing", 0)], [unit] * 3)


def _in_millimetres(lengths: list[Any], units: list[str]) -> VoxelSize:
    sizes = []
    for length, unit in zip(lengths, units, strict=True):
        try:
            sizes.append(max(number(str(length)), 0.0) * (millimetres(unit) or 0.0))
        except ValueError:
            sizes.append(0.0)
    if min(sizes[:2]) > _SMALLEST and (not sizes[2] or sizes[2] > _SMALLEST):
        return VoxelSize((sizes[0], sizes[1], sizes[2]))
    if min(sizes[:2]) > 0:
        return VoxelSize(None, "its voxels measure less than a nanometre: how large they are, is not known")
    odd = sorted({unit for unit in units if unit and millimetres(unit) is None and not unit.lower().startswith("pixel")})
    return VoxelSize(None, f"its voxels are measured in {', '.join(odd)!r}: how large they are, is not known" if odd else "")
