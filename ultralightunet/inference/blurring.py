"""A Gaussian over a volume, as products of matrices: ten times as quick as one that goes along every line by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK, _LINES = 16, 512
"""Voxels along an axis, and lines of them, that are worked out together: few of the weights in a block's matrix are zero, and products
are so small that the library does not share them out among threads, which wait for each other for ever on a busy machine."""


def blurred(array: NDArray[Any], sigma: Sequence[float], *, truncate: float = 3.0) -> NDArray[np.float32]:
    """`array` blurred along every axis; beyond its edges it goes on as it ends.

    Args:
        array: of up to three axes.
        sigma: standard deviation in voxels along each axis; 0 leaves the axis as it is.
        truncate: after how many standard deviations the kernel ends.
    """
    found: NDArray[np.float32] = array.astype(np.float32)
    for axis, width in enumerate(sigma):
        reach = int(truncate * width + 0.5)
        if reach:
            found = _along(found, axis, _kernel(width, reach))
    return found


def _kernel(sigma: float, reach: int) -> NDArray[np.float32]:
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _along(array: NDArray[np.float32], axis: int, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    n, reach = array.shape[axis], len(kernel) // 2
    # Before and behind the axis: a stack of matrices (n, behind), each of which is multiplied from the left.
    behind = int(np.prod(array.shape[axis + 1 :]))
    stack = array.reshape(-1, n, behind)
    out = np.empty_like(stack)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        first, last = max(0, start - reach), min(n, stop + reach)
        weights = np.zeros((stop - start, last - first), np.float32)
        for row in range(stop - start):
            # What lies beyond an end counts for the last voxel.
            at = np.clip(np.arange(start + row - reach, start + row + reach + 1), 0, n - 1) - first
            np.add.at(weights[row], at, kernel)
        if behind == 1:
            for line in range(0, len(stack), _LINES):
                out[line : line + _LINES, start:stop, 0] = stack[line : line + _LINES, first:last, 0] @ weights.T
            continue
        for line in range(0, behind, _LINES):
            some = slice(line, line + _LINES)
            np.matmul(weights, stack[:, first:last, some], out=out[:, start:stop, some])
    found: NDArray[np.float32] = out.reshape(array.shape)
    return found
