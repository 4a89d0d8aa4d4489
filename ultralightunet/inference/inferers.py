"""From a prepared image to labels: windows and blending.

Nothing here holds all classes of a whole volume. Windows are taken row of windows by row of windows along the longest axis; what
no later window touches is finished and goes to the image's own grid (`assembly`).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..architecture import STRIDE
from ..engines import Engine
from ..stopwatch import Stopwatch
from .assembly import Assembler

Array = NDArray[Any]

_CACHED = 50_000
"""Values, four bytes each, of which a few arrays fit into a core's cache."""


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


def label_image(
    engine: Engine, image: Array, out: Array, tiling: Tiling, out_channels: int, watch: Stopwatch | None = None
) -> Generator[tuple[int, int], None, None]:
    """Label `out` from a prepared image; yields (windows done, windows in all) after each window, and again
    while what is finished is brought to the image's own grid.

    Args:
        engine: the network.
        image: float32 (C, *grid).
        out: integer labels on the image's own grid over the same extent, written in place; a view will do.
        tiling: of the grid.
        out_channels: of the network; 1 means a sigmoid with the label 1 above a half.
        watch: is told how long "network", "blending" and "labels" took.
    """
    watch = watch or Stopwatch()
    # The longest axis comes first: it is the one that is worked along, so the cross-section that is kept is the smallest.
    longest = int(np.argmax(tiling.grid))
    order = (longest, *(axis for axis in range(len(tiling.grid)) if axis != longest))
    image = image.transpose(0, *(axis + 1 for axis in order))
    tiling = tiling.permuted(order)
    grid, window, starts = tiling.grid, tiling.window, tiling.starts
    assembler = Assembler(out.transpose(order), grid)
    back = tuple(np.argsort(order))
    margins = [(0, max(0, w - n)) for n, w in zip(grid, window, strict=True)]
    fill = float(image.min())
    if all(len(s) == 1 for s in starts):
        padded = np.pad(image, [(0, 0), *margins], constant_values=fill)
        with watch("network"):
            logits = _run(engine, padded, order, back)[(slice(None), *(slice(0, n) for n in grid))]
        yield 1, 1
        for _ in watch.each("labels", assembler.add(logits)):
            yield 1, 1
        return
    # In memory all axes lie as the network's output does: arrays of different layouts are added at half the speed.
    weight = _gaussian(tuple(window[axis] for axis in back)).transpose(order)
    kept = (window[0], *grid[1:])
    buffers = np.zeros((1 + out_channels, *(kept[axis] for axis in back)), np.float32)
    weights, *_ = buffers = buffers.transpose(0, *(axis + 1 for axis in order))
    total = buffers[1:]
    done = 0
    for number, first in enumerate(starts[0]):
        needed = product(*(tiling.needed(axis) for axis in range(1, len(grid)))) if first in tiling.needed(0) else ()
        for others in needed:
            corner = (first, *others)
            inside = tuple(slice(c, min(c + w, n)) for c, w, n in zip(corner, window, grid, strict=True))
            patch = np.pad(image[(slice(None), *inside)], [(0, 0), *margins], constant_values=fill)
            with watch("network"):
                logits = _run(engine, patch, order, back)
            with watch("blending"):
                filled = tuple(slice(0, s.stop - s.start) for s in inside)
                target = (filled[0], *inside[1:])
                _add(total[(slice(None), *target)], logits[(slice(None), *filled)], weight[filled])
                weights[target] += weight[filled]
            done += 1
            yield done, tiling.count
        last = number + 1 == len(starts[0])
        finished = (grid[0] if last else starts[0][number + 1]) - first
        with watch("blending"):
            # Rows of windows that were left out hold nothing: no class wins there.
            np.divide(total[:, :finished], np.maximum(weights[:finished], np.float32(1e-6)), out=total[:, :finished])
        for _ in watch.each("labels", assembler.add(total[:, :finished])):
            yield done, tiling.count
        if not last:
            with watch("blending"):
                for buffer in buffers:
                    buffer[: window[0] - finished] = buffer[finished:].copy()
                    buffer[window[0] - finished :] = 0


def _add(total: Array, logits: Array, weight: Array) -> None:
    """Add weighted logits (K, *S) to what there is of them: a few planes at a time, class by class, so that the weights and the products
    stay in the processor's cache."""
    # The planes that lie one after another in memory.
    axis = int(np.argmax(weight.strides))
    total, logits, weight = np.moveaxis(total, axis + 1, 1), np.moveaxis(logits, axis + 1, 1), np.moveaxis(weight, axis, 0)
    count = max(1, _CACHED // int(np.prod(weight.shape[1:])))
    for start in range(0, len(weight), count):
        planes = slice(start, start + count)
        product = np.empty_like(weight[planes])
        for sums, logit in zip(total, logits, strict=True):
            np.multiply(logit[planes], weight[planes], out=product)
            sums[planes] += product


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
