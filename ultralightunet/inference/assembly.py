"""The way back from the network's grid to the image's own: one class at a time, and only the best class of each voxel is kept."""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .transforms import axis_weights

Array = NDArray[Any]

_ROWS_AT_ONCE = 8
"""Rows of the network's grid that are brought to the image's together."""

_CACHED = 50_000
"""Values of a row that are worked on at once: with four bytes each, what a few classes need fits into a core's cache."""


class Assembler:
    """Takes finished logits row by row along the first axis and writes the best class of every voxel of the image's grid.

    A row of the network's grid is brought to the image's other two axes once, and the image's rows are mixed from its neighbours.

    Args:
        out: labels on the image's grid, written in place.
        grid: the network's.
    """

    def __init__(self, out: Array, grid: tuple[int, ...]) -> None:
        self.along = axis_weights(grid[0], out.shape[0])
        count = min(out.shape[1], -(-int(np.prod(out.shape[1:])) // _CACHED))
        edges = [round(out.shape[1] * n / count) for n in range(count + 1)]
        self.strips = [_Strip(out, grid, self.along, slice(*edge)) for edge in pairwise(edges)]
        self.rows = out.shape[0]
        self.pending: Array | None = None
        self.pending_start = 0
        self.written = 0

    def add(self, logits: Array) -> Generator[None, None, None]:
        """The next rows, (K, rows, *rest); taken a few at a time, so that little is copied and nobody waits long for a yield."""
        for first in range(0, logits.shape[1], _ROWS_AT_ONCE):
            piece = logits[:, first : first + _ROWS_AT_ONCE]
            self.pending = piece.copy() if self.pending is None else np.concatenate((self.pending, piece), axis=1)
            available = self.pending_start + self.pending.shape[1]
            ready = self.written
            while ready < self.rows and self._needs(ready)[1] <= available:
                ready += 1
            self._write(self.written, ready, self.pending)
            self.written = ready
            keep = self._needs(ready)[0] if ready < self.rows else available
            self.pending = self.pending[:, keep - self.pending_start :].copy()
            self.pending_start = keep
            yield

    def _needs(self, row: int) -> tuple[int, int]:
        columns = self.along.indices[self.along.indptr[row] : self.along.indptr[row + 1]]
        return int(columns.min()), int(columns.max()) + 1

    def _write(self, start: int, stop: int, pending: Array) -> None:
        for strip in self.strips:
            strip.write(range(start, stop), pending, self.pending_start)


class _Strip:
    """Some columns (the second axis) of the image, few enough to be worked on in the processor's cache.

    Args:
        out: as in `Assembler`.
        grid: as in `Assembler`.
        along: weights of the network's rows in the image's.
        columns: of `out`.
    """

    def __init__(self, out: Array, grid: tuple[int, ...], along: Any, columns: slice) -> None:
        self.out = out[:, columns]
        self.along = along
        self.columns = columns
        self.grid, self.shape = grid, out.shape
        self.planes: dict[tuple[int, int], Array] = {}

    @cached_property
    def across(self) -> tuple[slice, list[Any]]:
        """The network's columns that this strip is mixed from, and their weights along the image's second and third axis, None where
        the grids are the same."""
        first, *others = (axis_weights(n, m) if n != m else None for n, m in zip(self.grid[1:], self.shape[1:], strict=True))
        if first is None:
            return self.columns, [None, *others]
        first = first[self.columns]
        needed = slice(int(first.indices.min()), int(first.indices.max()) + 1)
        return needed, [first[:, needed], *others]

    @cached_property
    def buffers(self) -> tuple[Array, Array, Array]:
        """Logits of a class, of the best class so far, and a product, on one row."""
        first, second, third = (np.empty(self.out.shape[1:], np.float32) for _ in range(3))
        return first, second, third

    def write(self, rows: range, pending: Array, pending_start: int) -> None:
        """The best class of every voxel of these rows of the image.

        Args:
            rows: of the image.
            pending: logits (K, rows, *rest) of the network's grid, enough for these rows.
            pending_start: number of the first row in `pending`.
        """
        present = _present_classes(pending[:, :, self.across[0]]) if rows else []
        for row in rows:
            first = self.along.indices[self.along.indptr[row] : self.along.indptr[row + 1]].min()
            for key in [key for key in self.planes if key[0] < first]:
                del self.planes[key]
            self._write_best_class(row, pending, pending_start, present)

    def _write_best_class(self, row: int, pending: Array, pending_start: int, present: list[int]) -> None:
        target = self.out[row]
        target[...] = 0
        if not present:
            return
        logit, best, _ = self.buffers
        sigmoid = pending.shape[0] == 1
        if sigmoid:
            best[...] = 0
        else:
            self._mix(row, 0, pending, pending_start, best)
        for number in present:
            self._mix(row, 0 if sigmoid else number, pending, pending_start, logit)
            np.copyto(target, number, where=logit > best)
            if number != present[-1]:
                np.maximum(best, logit, out=best)

    def _mix(self, row: int, channel: int, pending: Array, pending_start: int, out: Array) -> None:
        """One channel's logits on one row of the image's grid."""
        start, end = self.along.indptr[row : row + 2]
        product = self.buffers[2]
        for number in range(start, end):
            index, weight = int(self.along.indices[number]), self.along.data[number]
            plane = self._plane(index, channel, pending[channel, index - pending_start])
            if number == start:
                np.multiply(plane, weight, out=out)
            else:
                out += np.multiply(plane, weight, out=product)

    def _plane(self, index: int, channel: int, plane: Array) -> Array:
        """One channel's logits on a row of the network's grid, at the image's resolution across it."""
        key = (index, channel)
        if key not in self.planes:
            needed, matrices = self.across
            plane = plane[needed]
            # The last axis first: the product along the first one then leaves rows in the order in which they are read.
            for axis, matrix in reversed(list(enumerate(matrices))):
                if matrix is not None:
                    plane = np.ascontiguousarray(np.moveaxis(matrix @ np.ascontiguousarray(np.moveaxis(plane, axis, 0)), 0, axis))
            self.planes[key] = np.asarray(plane)
        return self.planes[key]


def _present_classes(logits: Array) -> list[int]:
    """Classes, background aside, that win anywhere in these rows; the others cannot matter between them either, but for
    voxels where they come second on both sides of a border."""
    if logits.shape[0] == 1:
        return [1] if (logits > 0).any() else []
    best = logits.max(0)
    return [number for number in range(1, logits.shape[0]) if (logits[number] == best).any()]
