"""Arrays that a host hands over as files of NumPy, as the core's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Source, Volume


def read_volume(
    image: str,
    affine: Sequence[Sequence[float]],
    channels: int,
    *,
    modality: str = "",
    has_spacing: bool = True,
    is_flat: bool = False,
) -> Volume:
    """The image in the file `image`.

    Args:
        image: the file.
        affine: 4x4, as `Volume.affine`.
        channels: 1, or the length of the last axis.
        modality: DICOM's word, "" if unknown.
        has_spacing: as `Volume.has_spacing`.
        is_flat: the array is a volume of one slice, (1, j, i), and stands for a picture, (j, i).

    Raises:
        InputError: if it is none.
        OSError: if the file cannot be read.
    """
    source = Source(header={"modality": modality} if modality else {})
    try:
        placed = np.array(affine, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected an affine of 4x4 numbers, found {error}; update UltraLight on both sides") from error
    return Volume(read_array(image, is_flat=is_flat), placed, channels, has_spacing, source)


def read_array(path: str, *, is_flat: bool = False) -> NDArray[Any]:
    """The array in a file; `is_flat` as for `read_volume`.

    Raises:
        InputError: if it is none.
        OSError: if the file cannot be read.
    """
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise InputError(f"expected an array of NumPy in {path}, found another thing ({error}); check the disk's free space") from error
    return array[0] if is_flat else array
