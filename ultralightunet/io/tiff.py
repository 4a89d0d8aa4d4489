"""TIFF: pictures and stacks of them, with every page and every value, or not at all."""

from __future__ import annotations

import lzma
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError, OutputError
from ..volume import Affine, Segmentation, Source, Volume, spacing_of
from .checks import check_claim, chosen_volume
from .quiet import quiet_logger
from .tiff_pages import left_out, pages_of, pixels_of
from .tiff_size import voxel_size

_DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    RuntimeError,
    AssertionError,
    AttributeError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    Image.DecompressionBombError,
)
"""What tifffile, Pillow and the unpackers raise for files that are not what they should be."""


def read_tiff(path: Path, *, as_labels: bool = False, volume_index: int | None = None) -> Volume:
    """A grey or RGB picture, or a stack (k, j, i) of them; with a voxel size only where ImageJ or OME wrote one.

    Args:
        path: TIFF.
        as_labels: keep a palette's indices and a 1-bit picture's 0 and 1, instead of the colours that they stand for.
        volume_index: which time point of a series of stacks.

    Raises:
        InputError: if the file is damaged, its pages differ, its colours are of an unusual kind, or it is a series of stacks of which none
            was chosen.
    """
    try:
        with quiet_logger("tifffile"), tifffile.TiffFile(path) as file:
            pages = pages_of(file, path)
            check_claim(pages.nbytes, path.stat().st_size, path, packed=pages.is_packed)
            array, axes = pixels_of(pages, path, as_labels=as_labels)
            found = voxel_size(file)
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    array, channels = _arranged(array, axes, volume_index, path)
    dims = array.ndim - (channels > 1)
    size, notes = found.size, tuple(filter(None, (found.note, left_out(pages))))
    if size is not None and dims == 3 and not size[2]:
        size, notes = None, (*notes, "it does not say how far apart its slices are: how large a voxel is, is not known")
    affine = np.eye(4) if size is None else np.diag([*size[:2], size[2] or 1.0, 1.0])
    source = Source(path, "image", {"pages": array.shape[0] if dims == 3 else 1})
    return Volume(array, affine, channels, size is not None, source, notes)


def count_slices(path: Path) -> int:
    """How many slices the picture in a TIFF has: 1 for a picture (j, i).

    Raises:
        InputError: if the file is damaged.
    """
    try:
        with quiet_logger("tifffile"), tifffile.TiffFile(path) as file:
            pages = pages_of(file, path)
            sizes = [size for axis, size in zip(pages.axes, pages.shape, strict=True) if axis not in "YXSC"]
            return int(np.prod(sizes, dtype=np.int64))
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"expected a TIFF picture, found a damaged or other file {path} ({reason}); copy or export it again")


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
    """The array and its axes with colours (S) or channels (C) last, without axes of length 1 (but for Y and X)."""
    for axis in "CS":
        if axis in axes:
            array = np.moveaxis(array, axes.index(axis), -1)
            axes = axes.replace(axis, "") + axis
    single = [n for n, axis in enumerate(axes) if array.shape[n] == 1 and axis not in "YX"]
    return array.squeeze(tuple(single)), "".join(axis for n, axis in enumerate(axes) if n not in single)


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
