"""NIfTI through nibabel."""

from __future__ import annotations

import gzip
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import IOBase
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolder
from nibabel.imageglobals import logger as nibabel_logger
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Affine, Segmentation, Source, Volume
from .checks import check_claim, chosen_volume
from .geometry import agrees, lies_flat

_MILLIMETRES = {1: 1000.0, 3: 0.001}
"""How long NIfTI's units of length are that are not millimetres: 1 is metres, 3 is micrometres."""

_DAMAGE = (OSError, EOFError, ValueError, OverflowError, struct.error, zlib.error, ImageFileError, HeaderDataError, WrapStructError)
"""What nibabel and gzip raise for files that are not what they should be."""


def read_nifti(path: Path, *, volume_index: int | None = None) -> Volume:
    """An image, or one volume of a series; integers stay integers unless the header scales them.

    Raises:
        InputError: if the file is damaged, or a series of which no volume was chosen.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if not packed:
                return _read(cast("IO[bytes]", plain), path, volume_index)
            with gzip.GzipFile(fileobj=plain, mode="rb") as unpacked:
                volume = _read(cast("IO[bytes]", unpacked), path, volume_index)
                # Only at its end does gzip compare its checksum: without this a flipped bit goes unnoticed.
                while unpacked.read(1 << 20):
                    pass
                return volume
    except _DAMAGE as error:
        raise InputError(
            f"expected a NIfTI image, found a damaged or other file {path} ({_brief(error)}); copy or export it again"
        ) from error


def _read(file: IO[bytes], path: Path, volume_index: int | None) -> Volume:
    kind = _image_class(file.read(4))
    file.seek(0)
    stored = kind.header_class.from_fileobj(file, check=False)
    file.seek(0)
    with _quiet_nibabel():
        image = kind.from_file_map({"image": FileHolder(fileobj=cast("IOBase", file))}, mmap=False)
    _check_voxel_size(stored, path)
    claimed = prod(int(size) for size in image.shape) * image.get_data_dtype().itemsize
    check_claim(claimed, path.stat().st_size, path, packed=isinstance(file, gzip.GzipFile))
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    array = _voxels(image.dataobj, file, _chosen(shape, volume_index, path), image.ndim)
    channels = 1
    if array.dtype.names:
        parts = len(array.dtype.names)
        array = array.view(np.uint8).reshape((*array.shape, parts))[..., :3]
        channels = 3
    header = {
        "sform_code": int(image.header["sform_code"]),
        "qform_code": int(image.header["qform_code"]),
        "length_unit": int(image.header["xyzt_units"]) & 7,
        "dims": min(image.ndim, 3),
    }
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _MILLIMETRES.get(header["length_unit"], 1.0)
    return Volume(array, affine, channels, True, Source(path, "nifti", header))


@contextmanager
def _quiet_nibabel() -> Iterator[None]:
    """Keep nibabel's complaints about headers off stderr; those that matter are raised as well."""
    before = nibabel_logger.level
    nibabel_logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        nibabel_logger.setLevel(before)


def _image_class(start: bytes) -> Any:
    sizes = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
    for order in "<>":
        if len(start) == 4 and struct.unpack(order + "i", start)[0] in sizes:
            return sizes[struct.unpack(order + "i", start)[0]]
    raise ImageFileError("it does not begin with a NIfTI header")


def _check_voxel_size(stored: Any, path: Path) -> None:
    """nibabel takes a voxel size of zero for 1 mm; where nothing else says how large voxels are, that would be a guess."""
    dims = min(int(stored["dim"][0]), 3)
    sizes = stored["pixdim"][1 : 1 + dims]
    if int(stored["sform_code"]) == 0 and not (np.isfinite(sizes) & (sizes != 0)).all():
        raise InputError(
            f"expected voxel sizes above zero, found {[float(s) for s in sizes]} mm in {path}; save it again with a valid orientation"
        )


def _chosen(shape: tuple[int, ...], volume_index: int | None, path: Path) -> tuple[int, ...]:
    """Indices behind the first three axes of the chosen volume."""
    index = chosen_volume(volume_index, prod(shape[3:]), path)
    return tuple(int(i) for i in np.unravel_index(index, shape[3:], order="F")) if len(shape) > 3 else ()


def _voxels(proxy: Any, file: IO[bytes], chosen: tuple[int, ...], ndim: int) -> NDArray[Any]:
    """Voxels (k, j, i) or (j, i): as stored, or float32 where slope and intercept change them."""
    unscaled = ArrayProxy(file, (proxy.shape, proxy.dtype, proxy.offset), mmap=False)
    chosen += (0,) * (ndim - 3 - len(chosen))
    array = np.asarray(unscaled[(..., *chosen)] if chosen else unscaled).T
    if array.dtype.kind not in "biufV":
        raise HeaderDataError(f"its voxels are {array.dtype.name}, not real numbers")
    if not array.dtype.names and (proxy.slope, proxy.inter) != (1, 0):
        array = array.astype(np.float32)
        array *= np.float32(proxy.slope)
        array += np.float32(proxy.inter)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _brief(error: BaseException) -> str:
    return str(error).split("\n")[0] or type(error).__name__


def write_nifti(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (k, j, i) or (j, i) with the geometry of `segmentation` and nothing else.

    Raises:
        OSError: if it cannot be written.
    """
    header = segmentation.source.header if segmentation.source.format == "nifti" else {}
    unit = header.get("length_unit", 2)
    affine = segmentation.affine.copy()
    affine[:3] /= _MILLIMETRES.get(unit, 1.0)
    if labels.ndim == 2 and header.get("dims") != 2 and not lies_flat(affine):
        # Readers built on ITK forget where a 2D image is in space, but not a volume of one slice.
        labels = labels[np.newaxis]
    kind: Any = nib.Nifti1Image if max(labels.shape) < 2**15 else nib.Nifti2Image
    image = kind(labels.T, affine)
    _place(image, affine, header.get("sform_code"), header.get("qform_code"), labels.shape)
    if segmentation.has_spacing:
        image.header.set_xyzt_units({1: "meter", 3: "micron"}.get(unit, "mm"))
    with path.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            # No name and no time, so that the same labels make the same file.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=5) as packed:
                image.to_stream(packed)
        else:
            image.to_stream(file)


def _place(image: Any, affine: Affine, sform: int | None, qform: int | None, shape: tuple[int, ...]) -> None:
    """Set both transforms with the source's codes.

    Where the source has neither, readers place it by rules of their own, which differ; labels without them lie on it in every one.
    """
    if (sform, qform) == (0, 0):
        image.set_sform(None)
        image.set_qform(None)
        if agrees(affine, image.header.get_best_affine(), shape):
            return
    image.set_sform(affine, sform or qform or 1)
    # A qform knows rotations only: it is marked as absent where the axes are not at right angles.
    image.set_qform(affine, qform or sform or 1)
    if not agrees(affine, image.get_qform(), shape):
        image.set_qform(affine, 0)
