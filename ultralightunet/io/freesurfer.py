"""FreeSurfer's volumes, `.mgz` and `.mgh`: the header through nibabel, the voxels read here."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from ..volume import Source
from .nifti import StoredImage
from .stored import first_bytes

_OFFSET = 284
"""Bytes before the voxels."""


def stored_freesurfer(path: Path) -> StoredImage:
    """What the header says.

    Raises:
        OSError, ValueError and others: if it is damaged.
    """
    start = first_bytes(path, _OFFSET)
    # FreeSurfer 7 notes beside the version, in its third byte, what the voxels are for.
    if len(start) < _OFFSET or start[:2] != b"\0\0" or start[3] != 1:
        raise ValueError("it does not begin with a FreeSurfer header")
    header = nib.freesurfer.mghformat.MGHHeader(start[:2] + b"\0\1" + start[4:90])
    shape = tuple(int(n) for n in header["dims"])
    if min(shape) < 1:
        raise ValueError(f"expected voxels along every axis, found the shape {shape}")
    if int(header["type"]) not in nib.freesurfer.mghformat.data_type_codes.code:
        raise ValueError(f"expected whole or real numbers as voxels, found the type {int(header['type'])}")
    affine = np.array(header.get_affine(), dtype=np.float64)
    notes: tuple[str, ...] = ()
    told = int.from_bytes(start[28:30], signed=True)
    if told == 0:
        notes = ("the header does not say how the head lies; it was read as FreeSurfer does, as a coronal scan with voxels of 1 mm",)
    elif told != 1:
        notes = (f"the header is not clear about whether it says how the head lies (its flag is {told}, not 1); it was taken at its word",)
    return StoredImage(
        path=path,
        offset=_OFFSET,
        dtype=header.get_data_dtype().newbyteorder(">"),
        shape=shape,
        slope=1.0,
        inter=0.0,
        affine=affine,
        source=Source(path, "freesurfer"),
        notes=notes,
        has_more=True,
    )
