"""3D Slicer's segmentations, `.seg.nrrd`: labels whose header names them, in layers where they overlap, and cut to what is labelled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..models import LabelClass
from ..volume import Segmentation, Source
from .limits import check_memory
from .nrrd import read_nrrd
from .nrrd_header import read_nrrd_header
from .text_numbers import number

SUFFIX = ".seg.nrrd"
_TISSUE = "85756007"
"""SNOMED CT code that Slicer gives to a segment of which nothing more is said."""


def read_segments(path: Path) -> Segmentation:
    """The segments of a file as classes 1, 2, ... in their order; where segments overlap, the last one counts.

    The labels are on the grid of the image that was segmented where the header tells it, else on the file's own.

    Raises:
        InputError: if the file is damaged or has no segments.
    """
    header = _header(path)
    count = sum(1 for key in header if re.fullmatch(r"Segment\d+_ID", key))
    if not count:
        raise InputError(f"expected segments of 3D Slicer, found none named in {path}; save the segmentation again in Slicer")
    layers = [int(header.get(f"Segment{n}_Layer", 0)) for n in range(count)]
    is_layered = max(layers) > 0
    series = read_nrrd(path)
    read = {layer: series.one(layer if is_layered else None) for layer in sorted(set(layers))}
    first = next(iter(read.values()))
    labels = np.zeros(first.shape, np.uint8 if count < 256 else np.uint16)
    for segment, layer in enumerate(layers):
        labels[read[layer].array == int(header.get(f"Segment{segment}_LabelValue", segment + 1))] = segment + 1
    classes = (LabelClass(0, "background", (0, 0, 0)), *(_class(header, n) for n in range(count)))
    offset, shape = _place(header, labels.shape)
    check_memory(prod(shape) * labels.dtype.itemsize, path.stat().st_size, path)
    whole = np.zeros(shape, labels.dtype)
    whole[tuple(slice(start, start + n) for start, n in zip(offset, labels.shape, strict=True))] = labels
    affine = first.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ offset[::-1]
    source = Source(None, first.source.format, first.source.header)
    return Segmentation(whole, affine, classes, first.has_spacing, source, facts={"notes": list(first.notes)})


def _header(path: Path) -> Mapping[str, str]:
    try:
        return read_nrrd_header(path).pairs
    except (OSError, ValueError) as error:
        raise InputError(f"expected an NRRD image, found a damaged or other file {path} ({error}); copy or export it again") from error


def _class(header: Mapping[str, str], segment: int) -> LabelClass:
    color = [round(255 * min(max(number(value), 0.0), 1.0)) for value in header.get(f"Segment{segment}_Color", "0.5 0.5 0.5").split()]
    terminology = re.search(r"TerminologyEntry:[^|]*", header.get(f"Segment{segment}_Tags", ""))
    parts = terminology[0].split("~") if terminology else []
    scheme, _, rest = parts[2].partition("^") if len(parts) > 2 else ("", "", "")
    code = rest.partition("^")[0]
    snomed = code if scheme in ("SCT", "SRT") and code.isdecimal() and code != _TISSUE else ""
    return LabelClass(segment + 1, header.get(f"Segment{segment}_Name", f"segment {segment + 1}"), (color[0], color[1], color[2]), snomed)


def _place(header: Mapping[str, str], shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the file's first voxel lies in the segmented image, and that image's shape, both (k, j, i)."""
    geometry = re.search(r"Reference image geometry\|([^|]*)", header.get("Segmentation_ConversionParameters", ""))
    numbers = [float(value) for value in geometry[1].strip(";").split(";")] if geometry and geometry[1].strip(";") else []
    start = [int(value) for value in header.get("Segmentation_ReferenceImageExtentOffset", "0 0 0").split()]
    if len(numbers) != 22 or len(start) != 3:
        return (0, 0, 0), shape
    # After the 16 numbers of a matrix come the first and the last voxel along i, j and k.
    size = [int(last - first) + 1 for first, last in zip(numbers[16::2], numbers[17::2], strict=True)]
    offset = [at - int(first) for at, first in zip(start, numbers[16::2], strict=True)]
    if any(at < 0 or at + n > whole for at, n, whole in zip(offset, shape[::-1], size, strict=True)):
        return (0, 0, 0), shape
    return tuple(offset[::-1]), tuple(size[::-1])
