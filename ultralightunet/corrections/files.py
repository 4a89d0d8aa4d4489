"""How a store's files are made: packed fast, with nothing in their headers but the geometry."""

from __future__ import annotations

import errno
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError, UltraLightError, brief
from ..io.geometry import lies_flat
from ..io.nifti import header_block, nifti_header
from ..volume import Affine

Array = NDArray[Any]


def storable(array: Array) -> Array:
    """`array` in C order and in the nearest type that NIfTI has, little-endian; real values are kept exactly."""
    kind = array.dtype
    if kind == np.bool_:
        kind = np.dtype(np.uint8)
    elif kind == np.float16:
        kind = np.dtype(np.float32)
    elif kind.kind == "f" and kind.itemsize > 8:
        kind = np.dtype(np.float64)
    return np.ascontiguousarray(array, dtype=kind.newbyteorder("<"))


def content_hash(array: Array, **geometry: Any) -> str:
    """sha256 of an array's values, type, shape and what else is said of it; not of how or where it is stored."""
    array = storable(array)
    said = json.dumps({"shape": array.shape, "dtype": array.dtype.str, **geometry}, sort_keys=True)
    digest = hashlib.sha256(said.encode())
    digest.update(array.data)
    return digest.hexdigest()


def image_hash(array: Array, affine: Affine, *, channels: int, has_spacing: bool) -> str:
    """What identifies an image: its voxels and where they are, to a micrometre, so that a reader's rounding makes no other image."""
    placed = (np.round(affine[:3], 3) + 0.0).tolist()
    return content_hash(array, affine=placed, channels=channels, has_spacing=has_spacing)


def packed_nifti(array: Array, affine: Affine, *, has_spacing: bool) -> bytes:
    """The bytes of a `.nii.gz` file with one channel, (k, j, i) or (j, i).

    zlib's level 1 with run lengths only: on a noisy 256^3 int16 scan that is 1.7 times as fast as plain level 1 and 2 % larger, and
    labels are runs anyway. The gzip header has no name and no time, so that the same image makes the same file.
    """
    array = storable(array)
    if array.ndim == 2 and not lies_flat(affine):
        # Readers built on ITK forget where a 2D image is in space, but not a volume of one slice.
        array = array[np.newaxis]
    packer = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_RLE)
    start = header_block(nifti_header(array, affine, has_spacing=has_spacing))
    return b"".join((packer.compress(start), packer.compress(array.data), packer.flush()))


def as_json(facts: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Facts as a file of JSON for people and programs."""
    return (json.dumps(facts, indent=2, allow_nan=False) + "\n").encode()


def file_hash(path: Path) -> str:
    """sha256 of a file.

    Raises:
        OSError: if it cannot be read, or is no file.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "it is no file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def said_clearly(folder: Path, consequence: str) -> Iterator[None]:
    """The border of what is written: turn what is said about a full, read-only or missing disk, or too little memory, into a sentence.

    Raises:
        OutputError: in place of anything inside that is no error of ours.
    """
    try:
        yield
    except UltraLightError:
        raise
    except MemoryError as error:
        raise OutputError(
            f"expected memory for a correction of the store {folder}, found too little; {consequence}; close other programs and save again"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise OutputError(
            f"expected to write to the store {folder}, found an obstacle: {reason}; {consequence}; "
            "free space there, check its permissions or choose another folder, and save again"
        ) from error
    except Exception as error:
        # Broad, because this is the border: what else a damaged or foreign store makes go wrong is no reason to end a host.
        raise OutputError(
            f"expected to write to the store {folder}, found a fault in it or in UltraLight: {brief(error)}; {consequence}; "
            "`ultralight corrections check` says more"
        ) from error
