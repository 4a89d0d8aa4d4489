"""NIfTI: its header through nibabel, its voxels read and written here."""

from __future__ import annotations

import gzip
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import logger as nibabel_logger
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Affine, Segmentation, Source, Volume
from .class_names import described_block
from .geometry import agrees, lies_flat
from .nifti_place import Transforms, set_both
from .series import Series
from .stored import first_bytes, read_voxels

DAMAGE = (OSError, EOFError, ValueError, OverflowError, struct.error, zlib.error, ImageFileError, HeaderDataError, WrapStructError)
"""What nibabel and zlib raise for files that are not what they should be."""

_SILENT = logging.getLogger(f"{__name__}.silent")
_SILENT.disabled = True
"""Takes what nibabel says of a header."""


@dataclass(frozen=True)
class StoredImage:
    """What a header says of the voxels in a file of NIfTI or one of its relatives.

    Attributes:
        path: of the file with the voxels.
        offset: bytes before them.
        dtype: of a voxel.
        shape: (i, j, k) and what follows.
        slope: factor of the voxels.
        inter: addend.
        affine: as `Volume.affine`.
        source: as `Volume.source`.
        notes: as `Volume.notes`.
        has_more: whether the format writes something behind the voxels.
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    slope: float
    inter: float
    affine: Affine
    source: Source
    notes: tuple[str, ...]
    has_more: bool = False

    def read(self, volume_index: int | None) -> Volume:
        """One volume.

        Raises:
            InputError: if there are several and none was chosen, or too few voxels.
        """
        array, behind = read_voxels(self.path, self.offset, self.dtype, self.shape, volume_index)
        array, channels = self._values(array)
        notes = self.notes
        if behind and not self.has_more:
            notes += (f"{behind} bytes behind the voxels that the header tells of were passed over",)
        return Volume(array, self.affine, channels, True, self.source, notes)

    def read_series(self) -> Series:
        """All volumes in one pass: a packed file would be unpacked anew for each.

        Raises:
            InputError: if there are too few voxels.
        """
        volumes, _ = read_voxels(self.path, self.offset, self.dtype, self.shape, every=True)
        array, channels = self._values(volumes)
        return Series(array, self.affine, channels, True, self.source, self.notes)

    def _values(self, array: NDArray[Any]) -> tuple[NDArray[Any], int]:
        """Voxels as stored, or float32 where slope and intercept change them; colours as a last axis of three."""
        if array.dtype.names:
            parts = len(array.dtype.names)
            return np.ascontiguousarray(array.view(np.uint8).reshape((*array.shape, parts))[..., :3]), 3
        if (self.slope, self.inter) != (1, 0):
            array = array.astype(np.float32)
            array *= np.float32(self.slope)
            array += np.float32(self.inter)
        return array, 1


@contextmanager
def damage_told(path: Path, name: str) -> Iterator[None]:
    """Tell in one sentence what nibabel and zlib find wrong, and keep nibabel's complaints off stderr.

    Raises:
        InputError: for damage.
    """
    before = nibabel_logger.level
    nibabel_logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    except DAMAGE as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"expected {name} image, found a damaged or other file {path} ({reason}); copy or export it again") from error
    finally:
        nibabel_logger.setLevel(before)


def stored_nifti(path: Path, voxels: Path | None = None) -> StoredImage:
    """What the header of a file says.

    Args:
        path: `.nii`, or `.hdr`.
        voxels: the file with the voxels, if it is another one.

    Raises:
        InputError: for voxels that are no real numbers, or a size that is not told.
        OSError, ValueError and others of `DAMAGE`: if it is no NIfTI.
    """
    start = first_bytes(path, 540)
    kind = header_class(start)
    if kind is None:
        raise ImageFileError("it does not begin with a NIfTI header")
    if kind.is_single == (voxels is not None):
        raise ImageFileError(f"it is {'not ' * kind.is_single}one of a pair of files, whatever its name says")
    block = start[: kind.sizeof_hdr]
    stored, header = kind(block, check=False), kind(block)
    shape = checked_shape(header.get_data_shape())
    _check_voxel_size(stored, path)
    dtype = real_dtype(header, path)
    slope, inter = header.get_slope_inter()
    transforms = Transforms.of(stored)
    affine = header.get_best_affine()
    affine[:3] *= transforms.length
    notes = transforms.notes(affine)
    if int(stored["bitpix"]) not in (0, 8 * dtype.itemsize):
        bits = int(stored["bitpix"])
        notes.append(f"the header contradicts itself: it says {bits} bits a voxel and the type {dtype.name}, which was taken")
    return StoredImage(
        path=voxels or path,
        offset=int(header.get_data_offset()),
        dtype=dtype,
        shape=shape,
        slope=1.0 if slope is None else float(slope),
        inter=0.0 if inter is None else float(inter),
        affine=affine,
        source=Source(path, "nifti", transforms.to_header(header)),
        notes=tuple(notes),
    )


def header_class(start: bytes) -> Any:
    """nibabel's class for a header that begins so, None for one that is not of NIfTI."""
    if start[344:348] in (b"n+1\0", b"ni1\0") and is_header_of(start, 348):
        return nib.Nifti1Header if start[344:347] == b"n+1" else nib.nifti1.Nifti1PairHeader
    # Line ends in the second version's name show a file that was copied as text.
    if start[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n") and is_header_of(start, 540):
        return nib.Nifti2Header if start[4:7] == b"n+2" else nib.nifti2.Nifti2PairHeader
    return None


def is_header_of(start: bytes, size: int) -> bool:
    """Whether a header tells its own size, in either byte order."""
    return size in struct.unpack("<i", start[:4]) + struct.unpack(">i", start[:4])


def checked_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Voxels along i, j, k and what follows; an axis of length 0 behind the third is one of length 1, as other programs take it.

    Raises:
        ValueError: if that is no image.
    """
    if len(shape) < 2 or min(shape[:3]) < 1:
        raise ValueError(f"expected voxels along two or three axes, found the shape {tuple(int(n) for n in shape)}")
    return (*(int(n) for n in shape[:3]), *(max(int(n), 1) for n in shape[3:]))


def real_dtype(header: Any, path: Path) -> np.dtype[Any]:
    """The type of a voxel.

    Raises:
        InputError: for complex numbers.
    """
    dtype: np.dtype[Any] = header.get_data_dtype()
    if dtype.kind not in "biufV":
        raise InputError(f"expected voxels that are real numbers, found {dtype.name} in {path}; export its magnitude")
    return dtype


def _check_voxel_size(stored: Any, path: Path) -> None:
    """nibabel takes a voxel size of zero for 1 mm; where nothing else says how large voxels are, that would be a guess."""
    dims = min(int(stored["dim"][0]), 3)
    sizes = stored["pixdim"][1 : 1 + dims]
    if int(stored["sform_code"]) == 0 and not (np.isfinite(sizes) & (sizes != 0)).all():
        raise InputError(
            f"expected voxel sizes above zero, found {[float(s) for s in sizes]} mm in {path}; save it again with a valid orientation"
        )


def nifti_header(array: NDArray[Any], affine: Affine, *, has_spacing: bool, transforms: Transforms | None = None) -> Any:
    """A header for an array (k, j, i) or (j, i), or with further axes in front that count volumes.

    Args:
        array: of a type that NIfTI has.
        affine: as `Volume.affine`.
        has_spacing: as `Volume.has_spacing`.
        transforms: those of the image's own file, if `affine` is still the one that was read from it.
    """
    small = max(array.shape) < 2**15 and (transforms is None or transforms.version == 1)
    kind: Any = nib.Nifti1Header if small else nib.Nifti2Header
    header = kind()
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape[::-1])
    header.set_slope_inter(1, 0)
    header.set_data_offset(header.single_vox_offset)
    if transforms is None:
        set_both(header, affine)
        header.set_xyzt_units("mm" if has_spacing else "unknown")
    else:
        transforms.write_to(header)
    return header


def header_block(header: Any) -> bytes:
    """The bytes before the voxels."""
    return bytes(header.binaryblock) + bytes(header.single_vox_offset - len(header.binaryblock))


def write_nifti(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (k, j, i) or (j, i) with geometry and classes of `segmentation`, both transforms of its image's file, no more.

    Raises:
        OSError: if it cannot be written.
    """
    transforms = _own_transforms(segmentation)
    if labels.ndim == 2 and (transforms is None or transforms.dims != 2) and not lies_flat(segmentation.affine):
        # Readers built on ITK forget where a 2D image is in space, but not a volume of one slice.
        labels = labels[np.newaxis]
    little = np.ascontiguousarray(labels, dtype=labels.dtype.newbyteorder("<"))
    header = nifti_header(little, segmentation.affine, has_spacing=segmentation.has_spacing, transforms=transforms)
    block = described_block(header, segmentation)
    with path.open("wb") as file:
        if not path.name.lower().endswith(".gz"):
            file.write(block)
            file.write(little.data)
            return
        # No name and no time, so that the same labels make the same file.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=5) as packed:
            packed.write(block)
            packed.write(little.data)


def _own_transforms(segmentation: Segmentation) -> Transforms | None:
    """The transforms of the image's file, if the labels are still where these put the image."""
    transforms = Transforms.from_header(segmentation.source.header) if segmentation.source.format == "nifti" else None
    if transforms is None:
        return None
    kind: Any = nib.Nifti1Header if transforms.version == 1 else nib.Nifti2Header
    header = kind()
    header.set_data_shape(segmentation.labels.shape[::-1])
    transforms.write_to(header)
    # As when it was read: nibabel takes a handedness of 0 for 1, and sizes below zero by their amounts.
    header.check_fix(logger=_SILENT)
    found = header.get_best_affine()
    found[:3] *= transforms.length
    return transforms if agrees(segmentation.affine, found, segmentation.labels.shape) else None
