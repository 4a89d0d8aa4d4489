"""From a prepared image to labels: windows, blending, and the way back to the image's own grid.

Nothing here holds all classes of a whole volume. Windows are taken row of windows by row of windows along the longest axis; what
no later window touches is finished, brought to the image's grid one class at a time, and only its best class is kept.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .architecture import STRIDE
from .engines import Engine
from .transforms import axis_weights

Array = NDArray[Any]

_ROWS_AT_ONCE = 8
"""Rows of the network's grid that are brought to the image's together."""


@dataclass(frozen=True)
class Tiling:
    """Where the windows lie on a grid.

    Attributes:
        grid: the network's grid.
        window: size of each window, multiples of 32; along an axis where it is larger than the grid, the grid is padded.
        starts: for each axis the first index of each window.
        region: half-open ranges of the grid that are wanted; windows that do not touch it are left out.
    """

    grid: tuple[int, ...]
    window: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]
    region: tuple[tuple[int, int], ...]

    @classmethod
    def plan(
        cls,
        grid: tuple[int, ...],
        window: tuple[int, ...],
        *,
        whole: float,
        step: float,
        region: tuple[tuple[int, int], ...] | None = None,
    ) -> Tiling:
        """Windows that cover `grid` with a distance of at most `step` windows; one window where that holds no more than `whole`
        million voxels, or where the grid is no larger than a window."""
        rounded = tuple(-(-n // STRIDE) * STRIDE for n in grid)
        if np.prod(rounded) <= whole * 1e6:
            window = rounded
        window = tuple(min(w, r) for w, r in zip(window, rounded, strict=True))
        starts = []
        for n, w in zip(grid, window, strict=True):
            room = max(0, n - w)
            count = int(np.ceil(room / max(1.0, w * step))) + 1
            starts.append(tuple(round(room * number / max(1, count - 1)) for number in range(count)))
        return cls(grid, window, tuple(starts), region or tuple((0, n) for n in grid))

    def permuted(self, order: tuple[int, ...]) -> Tiling:
        """The same windows with the axes in another order."""
        return Tiling(*(tuple(part[axis] for axis in order) for part in (self.grid, self.window, self.starts, self.region)))  # type: ignore[arg-type]

    @property
    def count(self) -> int:
        """Number of windows that are needed."""
        return int(np.prod([len(self.needed(axis)) for axis in range(len(self.grid))]))

    def needed(self, axis: int) -> tuple[int, ...]:
        """Those of `starts` whose windows touch the region."""
        low, high = self.region[axis]
        return tuple(s for s in self.starts[axis] if s < high and s + self.window[axis] > low)


def label_image(engine: Engine, image: Array, out: Array, tiling: Tiling, out_channels: int) -> Generator[tuple[int, int], None, None]:
    """Label `out` from a prepared image; yields (windows done, windows in all) after each window, and again
    while what is finished is brought to the image's own grid.

    Args:
        engine: the network.
        image: float32 (C, *grid).
        out: integer labels on the image's own grid over the same extent, written in place; a view will do.
        tiling: of the grid.
        out_channels: of the network; 1 means a sigmoid with the label 1 above a half.
    """
    # The longest axis comes first: it is the one that is worked along, so the cross-section that is kept is the smallest.
    order = tuple(sorted(range(len(tiling.grid)), key=lambda axis: (-tiling.grid[axis], axis)))
    image = image.transpose(0, *(axis + 1 for axis in order))
    tiling = tiling.permuted(order)
    grid, window, starts = tiling.grid, tiling.window, tiling.starts
    assembler = _Assembler(out.transpose(order), grid)
    back = tuple(np.argsort(order))
    margins = [(0, max(0, w - n)) for n, w in zip(grid, window, strict=True)]
    fill = float(image.min())
    if all(len(s) == 1 for s in starts):
        padded = np.pad(image, [(0, 0), *margins], constant_values=fill)
        logits = _run(engine, padded, order, back)[(slice(None), *(slice(0, n) for n in grid))]
        yield 1, 1
        for _ in assembler.add(logits):
            yield 1, 1
        return
    weight = _gaussian(window)
    total = np.zeros((out_channels, window[0], *grid[1:]), np.float32)
    weights = np.zeros(total.shape[1:], np.float32)
    done = 0
    for number, first in enumerate(starts[0]):
        needed = product(*(tiling.needed(axis) for axis in range(1, len(grid)))) if first in tiling.needed(0) else ()
        for others in needed:
            corner = (first, *others)
            inside = tuple(slice(c, min(c + w, n)) for c, w, n in zip(corner, window, grid, strict=True))
            patch = np.pad(image[(slice(None), *inside)], [(0, 0), *margins], constant_values=fill)
            logits = _run(engine, patch, order, back)
            filled = tuple(slice(0, s.stop - s.start) for s in inside)
            target = (filled[0], *inside[1:])
            # Class by class: a product of all would leave the processor's cache.
            for sums, logit in zip(total, logits, strict=True):
                sums[target] += logit[filled] * weight[filled]
            weights[target] += weight[filled]
            done += 1
            yield done, tiling.count
        last = number + 1 == len(starts[0])
        finished = (grid[0] if last else starts[0][number + 1]) - first
        # Rows of windows that were left out hold nothing: no class wins there.
        np.divide(total[:, :finished], np.maximum(weights[:finished], np.float32(1e-6)), out=total[:, :finished])
        for _ in assembler.add(total[:, :finished]):
            yield done, tiling.count
        if not last:
            for buffer in (*total, weights):
                buffer[: window[0] - finished] = buffer[finished:].copy()
                buffer[window[0] - finished :] = 0


def _run(engine: Engine, patch: Array, order: tuple[int, ...], back: tuple[int, ...]) -> Array:
    """The network sees axes in their own order, not in the order in which the windows are worked through."""
    natural = patch.transpose(0, *(axis + 1 for axis in back))
    logits: Array = engine(np.ascontiguousarray(natural)[None])[0]
    return logits.transpose(0, *(axis + 1 for axis in order))


@cache
def _gaussian(window: tuple[int, ...]) -> Array:
    """Weights of a window's voxels in blending: a Gaussian whose standard deviation is an eighth of the window, as nnU-Net's
    (Isensee et al. 2021), never below a thousandth."""
    weight = np.ones((), np.float32)
    for n in window:
        profile = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2).astype(np.float32)
        weight = weight[..., None] * profile
    return np.maximum(weight, np.float32(1e-3))


class _Assembler:
    """Takes finished logits row by row along the first axis and writes the best class of every voxel of the image's grid.

    A row of the network's grid is brought to the image's other two axes once, and the image's rows are mixed from its neighbours.
    """

    def __init__(self, out: Array, grid: tuple[int, ...]) -> None:
        self.out = out
        self.along = axis_weights(grid[0], out.shape[0])
        self.across = [axis_weights(n, m) if n != m else None for n, m in zip(grid[1:], out.shape[1:], strict=True)]
        self.pending: Array | None = None
        self.pending_start = 0
        self.written = 0
        self.planes: dict[tuple[int, int], Array] = {}
        self.logit, self.best, self.product = (np.empty(out.shape[1:], np.float32) for _ in range(3))

    def add(self, logits: Array) -> Generator[None, None, None]:
        """The next rows, (K, rows, *rest); taken a few at a time, so that little is copied and nobody waits long for a yield."""
        for first in range(0, logits.shape[1], _ROWS_AT_ONCE):
            piece = logits[:, first : first + _ROWS_AT_ONCE]
            self.pending = piece.copy() if self.pending is None else np.concatenate((self.pending, piece), axis=1)
            available = self.pending_start + self.pending.shape[1]
            ready = self.written
            while ready < self.out.shape[0] and self._needs(ready)[1] <= available:
                ready += 1
            self._write(self.written, ready)
            self.written = ready
            keep = self._needs(ready)[0] if ready < self.out.shape[0] else available
            self.pending = self.pending[:, keep - self.pending_start :].copy()
            self.pending_start = keep
            yield

    def _needs(self, row: int) -> tuple[int, int]:
        columns = self.along.indices[self.along.indptr[row] : self.along.indptr[row + 1]]
        return int(columns.min()), int(columns.max()) + 1

    def _write(self, start: int, stop: int) -> None:
        assert self.pending is not None
        present = _present_classes(self.pending)
        for row in range(start, stop):
            self._write_best_class(row, present)

    def _write_best_class(self, row: int, present: list[int]) -> None:
        assert self.pending is not None
        target, first = self.out[row], self._needs(row)[0]
        for key in [key for key in self.planes if key[0] < first]:
            del self.planes[key]
        target[...] = 0
        if not present:
            return
        sigmoid = self.pending.shape[0] == 1
        if sigmoid:
            self.best[...] = 0
        else:
            self._mix(row, 0, self.best)
        for number in present:
            self._mix(row, 0 if sigmoid else number, self.logit)
            np.copyto(target, number, where=self.logit > self.best)
            if number != present[-1]:
                np.maximum(self.best, self.logit, out=self.best)

    def _mix(self, row: int, channel: int, out: Array) -> None:
        """One channel's logits on one row of the image's grid."""
        start, end = self.along.indptr[row : row + 2]
        np.multiply(self._plane(self.along.indices[start], channel), self.along.data[start], out=out)
        for index, weight in zip(self.along.indices[start + 1 : end], self.along.data[start + 1 : end], strict=True):
            out += np.multiply(self._plane(index, channel), weight, out=self.product)

    def _plane(self, index: int, channel: int) -> Array:
        """One channel's logits on a row of the network's grid, at the image's resolution across it."""
        key = (int(index), channel)
        if key not in self.planes:
            assert self.pending is not None
            plane = self.pending[channel, index - self.pending_start]
            # The last axis first: the product along the first one then leaves rows in the order in which they are read.
            for axis in range(len(self.across))[::-1]:
                matrix = self.across[axis]
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
