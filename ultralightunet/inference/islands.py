"""Islands of a mask: voxels that hang together through faces. Found by runs of voxels, of which there are a hundred times fewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Islands:
    """The runs of a mask along its last axis, and which island each belongs to.

    Attributes:
        starts: number of each run's first voxel in the flattened mask.
        lengths: voxels of each run.
        numbers: of each run's island, from 0.
        sizes: voxels of each island.
    """

    starts: Numbers
    lengths: Numbers
    numbers: Numbers
    sizes: Numbers

    def voxels_of(self, islands: NDArray[np.bool_]) -> Numbers:
        """Numbers in the flattened mask of all voxels of the islands for which `islands` is true."""
        wanted = islands[self.numbers]
        starts, lengths = self.starts[wanted], self.lengths[wanted]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.asarray(np.repeat(starts, lengths) + within)


def islands_of(mask: NDArray[np.bool_]) -> Islands:
    """The islands of a mask (k, j, i) or (j, i)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = mask.reshape(-1, mask.shape[-1])
    edges = np.flatnonzero(np.diff(np.pad(rows, ((0, 0), (1, 1))).view(np.int8), axis=1))
    width = mask.shape[-1] + 1
    row, column = np.divmod(edges, width)
    first, last, at = column[::2], column[1::2], row[::2]
    count = len(first)
    pairs = [_touching(first, last, at, width, count, step) for step in _steps(mask.shape)]
    one, other = (np.concatenate([pair[n] for pair in pairs]) for n in (0, 1)) if pairs else (np.zeros(0, np.int64),) * 2
    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    found, numbers = connected_components(graph, directed=False)
    lengths = last - first
    sizes = np.bincount(numbers, weights=lengths, minlength=found).astype(np.int64)
    return Islands(at * mask.shape[-1] + first, lengths, numbers.astype(np.int64), sizes)


def _steps(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """How many rows on a neighbour's row lies, and after how many rows there is none: to the next j, and to the next k."""
    return [(1, shape[-2]), *([(shape[-2], 0)] if len(shape) > 2 else [])]


def _touching(first: Any, last: Any, row: Any, width: int, count: int, step: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Pairs of runs that lie beside each other in rows that are `step` apart."""
    rows_on, period = step
    starts, stops = row * width + first, row * width + last
    has_neighbour = np.ones(count, np.bool_) if not period else (row % period) != period - 1
    run = np.flatnonzero(has_neighbour)
    shift = rows_on * width
    low = np.searchsorted(stops, starts[run] + shift, "right")
    high = np.searchsorted(starts, stops[run] + shift, "left")
    number = np.maximum(high - low, 0)
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    return np.repeat(run, number), np.repeat(low, number) + within
