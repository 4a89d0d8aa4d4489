"""Which voxels a person has checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Checked = NDArray[Any] | Mapping[int, Iterable[int]] | None
"""A mask on the image's grid; or slices to each array axis (0 is k), counted from 0, whose union is meant; or None for everything."""


def checked_mask(checked: Checked, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """`checked` as a mask of `shape`, None where it is everything.

    Raises:
        InputError: if it does not fit the image, or marks nothing.

    Example:
        >>> from ultralightunet.corrections import checked_mask
        >>> checked_mask({0: [1]}, (3, 1, 2)).tolist()  # slice 1 of axis k
        [[[False, False]], [[True, True]], [[False, False]]]
    """
    if checked is None:
        return None
    mask = _from_slices(checked, shape) if isinstance(checked, Mapping) else _from_array(checked, shape)
    if mask.all():
        return None
    if not mask.any():
        raise InputError("expected at least one checked voxel, found none marked as checked; mark the slices that you checked")
    return mask


def _from_array(checked: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.asarray(checked)
    if mask.shape != shape:
        raise InputError(f"expected a mask of checked voxels of the image's shape {shape}, found {mask.shape}; draw it on this image")
    return np.asarray(mask != 0, dtype=np.bool_)


def _from_slices(checked: Mapping[int, Iterable[int]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    for axis, slices in checked.items():
        if axis not in range(len(shape)):
            raise InputError(f"expected an axis from 0 to {len(shape) - 1} for checked slices, found {axis}; the image has {len(shape)}")
        wanted = sorted(set(slices))
        if wanted and not 0 <= wanted[0] <= wanted[-1] < shape[axis]:
            outside = wanted[0] if wanted[0] < 0 else wanted[-1]
            raise InputError(
                f"expected checked slices from 0 to {shape[axis] - 1} along axis {'kji'[-len(shape) :][axis]}, found {outside}; "
                "choose slices inside the image"
            )
        np.moveaxis(mask, axis, 0)[wanted] = True
    return mask
