"""Pairs of a header `.hdr` and its voxels `.img`: NIfTI's, and Analyze 7.5 as SPM and nibabel read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ..errors import InputError
from ..volume import Affine, Source
from .nifti import StoredImage, checked_shape, header_class, is_header_of, real_dtype, stored_nifti
from .stored import first_bytes
from .units import millimetres

_LARGEST_MATRIX = 1 << 16
"""Bytes of SPM's file with a matrix, which is packed at most a thousandfold."""


def stored_pair(path: Path) -> StoredImage:
    """What the header says.

    Args:
        path: the header or the voxels; the other one lies beside it.

    Raises:
        InputError: if one of the two files is missing.
        OSError, ValueError and others: if the header is damaged.
    """
    header, voxels = _both(path)
    start = first_bytes(header, 540)
    if header_class(start) is not None:
        return stored_nifti(header, voxels)
    if len(start) < 348 or not is_header_of(start, 348):
        raise ValueError("it does not begin with an Analyze header")
    return _stored_analyze(header, voxels, start)


def _both(path: Path) -> tuple[Path, Path]:
    """The header and the voxels, of which `path` is one."""
    name = path.name.lower()
    packed = path.name[-3:] if name.endswith(".gz") else ""
    stem = path.name[: len(path.name) - len(packed) - 4]
    found = []
    for suffix in (".hdr", ".img"):
        names = [f"{stem}{case}{end}" for case in (suffix, suffix.upper()) for end in dict.fromkeys((packed, "", ".gz"))]
        beside = [path.with_name(other) for other in names if path.with_name(other).is_file()]
        if path.name.lower().removesuffix(".gz").endswith(suffix):
            beside.insert(0, path)
        if not beside:
            raise InputError(f"expected {stem}{suffix} beside {path}, found none: header and voxels are two files; copy it there, too")
        found.append(beside[0])
    return found[0], found[1]


def _stored_analyze(path: Path, voxels: Path, start: bytes) -> StoredImage:
    header = nib.spm2analyze.Spm2AnalyzeHeader(start[:348])
    sizes = np.abs(header["pixdim"][1:4])
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"expected voxel sizes above zero, found {[float(size) for size in sizes]}")
    slope, inter = header.get_slope_inter()
    affine, notes = _place(header, voxels)
    unit = header["vox_units"].item().split(b"\0")[0].decode("ascii", "replace")
    length = millimetres(unit) if unit.strip() else 1.0
    if length is None:
        raise ValueError(f"expected a unit of length, found {unit!r}")
    affine[:3] *= length
    return StoredImage(
        path=voxels,
        offset=int(header.get_data_offset()),
        dtype=real_dtype(header, path),
        shape=checked_shape(header.get_data_shape()),
        slope=1.0 if slope is None else float(slope),
        inter=0.0 if inter is None else float(inter),
        affine=affine,
        source=Source(path, "analyze"),
        notes=tuple(notes),
    )


def _place(header: Any, voxels: Path) -> tuple[Affine, list[str]]:
    """From SPM's matrix beside the voxels where there is one, else from the header, which does not know left from right."""
    matrix = voxels.with_name(voxels.name.removesuffix(".gz")[:-4] + ".mat")
    if matrix.is_file() and matrix.stat().st_size <= _LARGEST_MATRIX:
        return _from_matlab(matrix), []
    return np.array(header.get_best_affine(), dtype=np.float64), [
        "Analyze does not say which side of the patient is left; it was read as SPM and nibabel do, stored from right to left"
    ]


def _from_matlab(path: Path) -> Affine:
    """SPM's "mat", or its older "M" without the turn of left and right; both count voxels from 1."""
    from scipy.io import loadmat

    found = loadmat(str(path))
    if "mat" in found:
        affine = np.array(found["mat"], dtype=np.float64)
        affine = affine[..., 0] if affine.ndim > 2 else affine
    elif "M" in found:
        affine = np.diag((-1.0, 1.0, 1.0, 1.0)) @ np.array(found["M"], dtype=np.float64)
    else:
        raise ValueError(f"expected the matrix 'mat' or 'M' in {path.name}, found neither")
    from_one = np.eye(4)
    from_one[:3, 3] = 1
    return np.asarray(affine @ from_one)
