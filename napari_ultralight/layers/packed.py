"""Labels kept small in a layer's metadata: runs of equal voxels take next to nothing. Free of Qt and napari."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(array: NDArray[Any]) -> dict[str, Any]:
    """An array as plain facts that survive copying and pickling of a layer."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    blob = packer.compress(np.ascontiguousarray(array).data) + packer.flush()
    return {"shape": list(array.shape), "dtype": array.dtype.str, "blob": blob}


def unpack(facts: dict[str, Any]) -> NDArray[Any]:
    """The reverse of `pack`."""
    return np.frombuffer(bytearray(zlib.decompress(facts["blob"])), facts["dtype"]).reshape(facts["shape"])


class Packed:
    """An array in few bytes, which numpy unpacks wherever it is used as one: napari keeps such for undo.

    Args:
        array: of labels.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self._facts = pack(array)

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return len(self._facts["blob"])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The array, always a new one."""
        return unpack(self._facts).astype(dtype or self._facts["dtype"], copy=False)


def digest(array: NDArray[Any]) -> str:
    """What tells two arrays of labels apart."""
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()
