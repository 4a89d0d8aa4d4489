"""TIFF through tifffile, and through Pillow where tifffile lacks the compression."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from ..errors import InputError, OutputError
from ..volume import Affine, Segmentation, Source, Volume, spacing_of
from .checks import check_claim, chosen_volume
from .pictures import pixels

# tifffile logs what it finds wrong; without a handler Python would put that on stderr beside our own sentence.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    RuntimeError,
    AssertionError,
    TypeError,
    KeyError,
    IndexError,
    ZeroDivisionError,
    struct.error,
    Image.DecompressionBombError,
)
"""What tifffile and Pillow raise for files that are not what they should be."""

_MILLIMETRES = {
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "um": 1e-3,
    "µm": 1e-3,
    "micron": 1e-3,
    "micrometer": 1e-3,
    "\\u00b5m": 1e-3,
    "nm": 1e-6,
    "inch": 25.4,
}


def read_tiff(path: Path, *, as_labels: bool = False, volume_index: int | None = None) -> Volume:
    """A grey or RGB picture, or a stack (k, j, i) of them; with a voxel size only where ImageJ or OME wrote one.

    Args:
        path: TIFF.
        as_labels: keep a palette's indices and a 1-bit picture's 0 and 1, instead of the colours that they stand for.
        volume_index: which time point of a series of stacks.

    Raises:
        InputError: if the file is damaged, or a series of stacks of which none was chosen.
    """
    try:
        with tifffile.TiffFile(path) as file:
            series = _first_series(file)
            check_claim(series.nbytes, path.stat().st_size, path, packed=True)
            axes, spacing = str(series.axes), _spacing(file)
            try:
                array = _coloured(np.asarray(series.asarray()), series.keyframe, as_labels)
                axes += "S" if array.ndim > len(axes) else ""
            except (ValueError, ImportError) as error:
                if "imagecodecs" not in str(error):
                    raise
                axes, array = _through_pillow(path, as_labels)
    except _DAMAGE as error:
        raise InputError(f"expected a TIFF picture, found a damaged or other file {path} ({error}); copy or export it again") from error
    if array.size == 0:
        raise InputError(f"expected a TIFF picture, found a damaged file without pixels {path}; copy or export it again")
    array, channels = _arranged(array, axes, volume_index, path)
    dims = array.ndim - (channels > 1)
    sized = spacing is not None and (dims == 2 or spacing[2] > 0)
    affine = np.diag([*spacing[:2], spacing[2] or 1.0, 1.0]) if sized and spacing is not None else np.eye(4)
    return Volume(array, affine, channels, sized, Source(path, "image", {"pages": array.shape[0] if dims == 3 else 1}))


def count_slices(path: Path) -> int:
    """How many slices the picture in a TIFF has: 1 for a picture (j, i).

    Raises:
        InputError: if the file is damaged.
    """
    try:
        with tifffile.TiffFile(path) as file:
            series = _first_series(file)
            sizes = [size for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXSC"]
            return int(np.prod(sizes, dtype=np.int64))
    except _DAMAGE as error:
        raise InputError(f"expected a TIFF picture, found a damaged or other file {path} ({error}); copy or export it again") from error


def _first_series(file: tifffile.TiffFile) -> Any:
    """The first picture or stack; a file whose pages go round in a circle is refused, because tifffile would follow them for ever."""
    layout, handle = file.tiff, file.filehandle
    seen: set[int] = set()
    offset = file.pages.first.offset
    while offset and offset < handle.size:
        if offset in seen:
            raise ValueError("its pages go round in a circle")
        seen.add(offset)
        handle.seek(offset)
        (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
        handle.seek(offset + layout.tagnosize + tags * layout.tagsize)
        following = handle.read(layout.offsetsize)
        offset = struct.unpack(layout.offsetformat, following)[0] if len(following) == layout.offsetsize else 0
    return file.series[0]


def _coloured(array: NDArray[Any], page: Any, as_labels: bool) -> NDArray[Any]:
    """`array` as it is to be seen: palettes looked up, black and white the usual way round."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind in ("b" if as_labels else "bu"):
        array = ~array
    if as_labels:
        return array.astype(np.uint8) if array.dtype == np.bool_ else array
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        return np.asarray((page.colormap >> 8).astype(np.uint8).T[array])
    return array.astype(np.uint8) * np.uint8(255) if array.dtype == np.bool_ else array


def _through_pillow(path: Path, as_labels: bool) -> tuple[str, NDArray[Any]]:
    """Axes and pixels."""
    with Image.open(path, formats=("TIFF",)) as picture:
        pages = [pixels(page, as_labels=as_labels) for page in ImageSequence.Iterator(picture)]
    array = np.stack([page for page in pages if page.shape == pages[0].shape])
    return "QYX" + ("S" if array.ndim > 3 else ""), array


def _arranged(array: NDArray[Any], axes: str, volume_index: int | None, path: Path) -> tuple[NDArray[Any], int]:
    """The array as (j, i) or (k, j, i), then channels if there are several, and their number."""
    array, axes = _channels_last(array, axes)
    channels = array.shape[-1] if axes[-1] in "SC" else 1
    stacked = axes.rstrip("SC").removesuffix("YX")
    if len(stacked) > 2 or not set("SC").isdisjoint(stacked) or axes.endswith(("SC", "CS")):
        raise InputError(
            f"expected a picture or a stack of slices, found axes {axes} of {array.shape} in {path}; save the part that is to be segmented"
        )
    if len(stacked) < 2:
        array = array[np.newaxis]
    array = array[chosen_volume(volume_index, array.shape[0], path)]
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)), channels


def _channels_last(array: NDArray[Any], axes: str) -> tuple[NDArray[Any], str]:
    """The array and its axes with colours (S) or channels (C) last, without alpha and without axes of length 1 (but for Y and X)."""
    for axis in "CS":
        if axis in axes:
            array = np.moveaxis(array, axes.index(axis), -1)
            axes = axes.replace(axis, "") + axis
    if axes.endswith("S") and array.shape[-1] in (2, 4):
        array = array[..., :-1]
    single = [n for n, axis in enumerate(axes) if array.shape[n] == 1 and axis not in "YX"]
    return array.squeeze(tuple(single)), "".join(axis for n, axis in enumerate(axes) if n not in single)


def _spacing(file: tifffile.TiffFile) -> tuple[float, float, float] | None:
    """Voxel size in mm along i, j, k (0 where unknown), from ImageJ's or OME's notes; a resolution for printing says nothing."""
    if file.is_ome and file.ome_metadata:
        found: Any = tifffile.xml2dict(file.ome_metadata).get("OME", {}).get("Image", {})
        found = (found[0] if isinstance(found, list) else found).get("Pixels", {})
        sizes = [float(found.get(f"PhysicalSize{a}", 0)) * _MILLIMETRES.get(found.get(f"PhysicalSize{a}Unit", "µm"), 0) for a in "XYZ"]
    elif file.imagej_metadata:
        notes = file.imagej_metadata
        unit = _MILLIMETRES.get(str(notes.get("unit", "")).strip(), 0.0)
        tags = [file.pages.first.tags.get(name) for name in ("XResolution", "YResolution")]
        sizes = [unit * tag.value[1] / tag.value[0] if tag is not None and tag.value[0] else 0.0 for tag in tags]
        sizes.append(unit * float(notes.get("spacing", 0)))
    else:
        return None
    return (sizes[0], sizes[1], sizes[2]) if min(sizes[:2]) > 0 else None


def write_tiff(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (j, i) or (k, j, i) as a grey TIFF of 8 or 16 bits, with the voxel size as ImageJ notes it.

    Raises:
        OutputError: for a volume with a place or direction in space, which TIFF cannot hold.
        OSError: if it cannot be written.
    """
    if not segmentation.has_spacing:
        tifffile.imwrite(path, labels, photometric="minisblack", compression="zlib", metadata=None)
        return
    if labels.ndim == 3 and not _is_size_only(segmentation.affine):
        raise OutputError(
            "expected a volume without a place in space for TIFF, found one with an orientation or origin; write .nii.gz, .nrrd or .mha"
        )
    spacing = spacing_of(segmentation.affine, labels.ndim)
    notes = {"axes": "ZYX"[-labels.ndim :], "unit": "mm"} | ({"spacing": spacing[0]} if labels.ndim == 3 else {})
    tifffile.imwrite(path, labels, imagej=True, resolution=(1 / spacing[-1], 1 / spacing[-2]), metadata=notes)


def _is_size_only(affine: Affine) -> bool:
    """Whether a voxel size says all that `affine` does."""
    return np.array_equal(affine, np.diag(np.abs(np.diag(affine))))
