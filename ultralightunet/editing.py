"""Tools for correcting labels in 3D: arrays in, arrays out, free of any toolkit.

Each takes labels (k, j, i) or (j, i) of whole numbers and the classes to work on, changes nothing in place, and returns labels of the same
shape and type. `difference` says what a tool did, so that a host can apply it to what it shows and take it back as one step.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, prod
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from .errors import InputError
from .events import Progress, finish
from .inference import postprocessing
from .inference.blurring import blurred
from .inference.islands import islands_of
from .inference.outlines import between

Labels = NDArray[Any]
Mask = NDArray[np.bool_]
Part = tuple[slice, ...]
Steps = Generator[Progress, None, Labels]
"""A tool at work: its progress, then the new labels."""

_TILE = 64
"""Voxels along the edge of a piece that is smoothed by itself."""


@dataclass(frozen=True, eq=False)
class Edit:
    """Which voxels change, and how: a box, and what is in it before and after. Indices of each voxel would take ten times as much memory.

    Attributes:
        box: the smallest one that holds all that changes; empty if nothing does.
        before: the labels in it until now.
        after: the labels in it afterwards.
        count: how many voxels change.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import difference
        >>> before, after = np.array([[0, 0, 1]]), np.array([[2, 0, 3]])
        >>> edit = difference(before, after)
        >>> len(edit), edit.after.tolist()
        (2, [[2, 0, 3]])
        >>> edit.still_fitting(np.array([[0, 0, 9]])).after.tolist()
        [[2, 0, 9]]
    """

    box: Part
    before: Labels
    after: Labels
    count: int

    def __len__(self) -> int:
        return self.count

    def still_fitting(self, labels: Labels) -> Edit:
        """Without the voxels that someone has changed in `labels` meanwhile: what a person paints counts more than what a tool does."""
        now = labels[self.box]
        if np.array_equal(now, self.before):
            return self
        after = np.where(now == self.before, self.after, now)
        return Edit(self.box, now.copy(), after, int(np.count_nonzero(after != now)))


def difference(before: Labels, after: Labels) -> Edit:
    """What leads from one array of labels to another one of the same shape.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import difference
        >>> edit = difference(np.array([[0, 0, 1]]), np.array([[2, 0, 1]]))
        >>> edit.box, edit.before.tolist(), edit.after.tolist()
        ((slice(0, 1, None), slice(0, 1, None)), [[0]], [[2]])
    """
    changed = before != after
    box = _part_of(changed) or (slice(0, 0),) * before.ndim
    return Edit(box, before[box], after[box], int(np.count_nonzero(changed)))


def fill_between(labels: Labels, classes: Collection[int], *, axis: int, spacing: Sequence[float], over: bool = False) -> Labels:
    """Draw what is missing between slices in which a class was drawn, by blending the distances from its outlines.

    Outlines are moved onto each other's centre before they are blended (shape-based interpolation after Raya and Udupa 1990), so that
    a structure that runs obliquely does not thin out.

    Args:
        labels: (k, j, i).
        classes: which.
        axis: across which the slices lie.
        spacing: mm along the axes of `labels`.
        over: whether classes that are not among `classes` are drawn over as well as the background.

    Raises:
        InputError: for labels that are no volume.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import fill_between
        >>> labels = np.zeros((5, 8, 8), np.uint8)
        >>> labels[0, 2:6, 2:6] = labels[4, 2:6, 2:6] = 1
        >>> fill_between(labels, [1], axis=0, spacing=(3.0, 1.0, 1.0)).sum((1, 2)).tolist()
        [16, 16, 16, 16, 16]
    """
    if labels.ndim != 3:
        raise InputError(f"expected a volume to fill between its slices, found labels of {labels.ndim} axes; choose labels of a volume")
    out = labels.copy()
    slices = np.moveaxis(out, axis, 0)
    depth = np.full(slices.shape, -np.inf, np.float32) if len(classes) > 1 else None
    plane = [size for n, size in enumerate(spacing) if n != axis]
    original = np.moveaxis(labels, axis, 0)
    kept = np.isin(original, list(classes)) if over else original != 0
    for label in classes:
        mask = original == label
        drawn = np.flatnonzero(mask.any(axis=(1, 2)))
        for first, last in pairwise(drawn):
            if last - first == 1:
                continue
            for n, inside in between(mask[first], mask[last], int(last - first), plane):
                at = slices[first + n]
                free = (inside > 0) & ~kept[first + n]
                if depth is not None:
                    free &= inside > depth[first + n]
                    depth[first + n][free] = inside[free]
                at[free] = label
    return out


def keep_largest(labels: Labels, classes: Collection[int]) -> Labels:
    """Without all islands of each class but its largest; voxels hang together through faces.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import keep_largest
        >>> keep_largest(np.array([[1, 1, 0, 1, 2]]), [1]).tolist()
        [[1, 1, 0, 0, 2]]
    """
    out = labels.copy()
    for label in classes:
        postprocessing.keep_largest(out, (label,))
    return out


def remove_small(labels: Labels, classes: Collection[int], *, smallest: float, spacing: Sequence[float]) -> Labels:
    """Without the islands of each class that are smaller than `smallest`, in mm3, or mm2 of a 2D image.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import remove_small
        >>> remove_small(np.array([[1, 1, 0, 1]]), [1], smallest=1.0, spacing=(1.0, 0.5)).tolist()
        [[1, 1, 0, 0]]
    """
    return finish(removing_small(labels, classes, smallest=smallest, spacing=spacing))


def removing_small(labels: Labels, classes: Collection[int], *, smallest: float, spacing: Sequence[float]) -> Steps:
    """As `remove_small`, class by class; closing it cancels.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import removing_small
        >>> for step in removing_small(np.array([[1, 1, 0, 1]]), [1], smallest=1.0, spacing=(1.0, 0.5)):
        ...     step
        Progress(stage='Remove islands', done=0, total=1)
    """
    out = labels.copy()
    boxes = _parts_of(labels, classes)
    for done, (label, part) in enumerate(boxes.items()):
        yield Progress("Remove islands", done, len(boxes))
        found = islands_of(labels[part] == label)
        small = found.voxels_of(found.sizes * prod(spacing) < smallest)
        if len(small):
            inside = out[part]
            inside[np.unravel_index(small, inside.shape)] = 0
    return out


def fill_holes(labels: Labels, classes: Collection[int], *, axis: int | None = None) -> Labels:
    """With the background inside of each class filled; other classes inside of it stay.

    Args:
        labels: (k, j, i) or (j, i).
        classes: which.
        axis: None: what is enclosed on all sides; else what is enclosed in a slice across this axis.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import fill_holes
        >>> fill_holes(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]), [1]).tolist()
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
    """
    out = labels.copy()
    connected = scipy.ndimage.generate_binary_structure(labels.ndim, 1)
    flat = [n != axis for n in range(labels.ndim)]
    if axis is not None:
        # A slice does not touch its neighbours.
        np.moveaxis(connected, axis, 0)[[0, 2]] = False
    for label in classes:
        if (part := _part_of(out == label)) is None:
            continue
        outside = np.pad(out[part] != label, [(int(is_in_plane),) * 2 for is_in_plane in flat], constant_values=True)
        regions, count = scipy.ndimage.label(outside, connected)
        hole = np.ones(count + 1, np.bool_)
        hole[0] = False
        for n in np.flatnonzero(flat):
            hole[np.unique(np.moveaxis(regions, n, 0)[[0, -1]])] = False
        inner = tuple(slice(1, -1) if is_in_plane else slice(None) for is_in_plane in flat)
        out[part][hole[regions[inner]] & (out[part] == 0)] = label
    return out


def smooth(labels: Labels, classes: Collection[int], *, radius: float, spacing: Sequence[float]) -> Labels:
    """With outlines rounded off: each voxel takes the label that prevails around it, the same number of mm along every axis.

    Args:
        labels: (k, j, i) or (j, i).
        classes: whose outlines; those between other classes stay.
        radius: of what is rounded off, in mm: the standard deviation of a Gaussian.
        spacing: mm along the axes of `labels`; an axis whose voxels are far larger than `radius` is left as it is.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import smooth
        >>> spike = np.zeros((7, 7), np.uint8)
        >>> spike[4:, :], spike[3, 3] = 1, 1
        >>> smooth(spike, [1], radius=1.0, spacing=(1.0, 1.0))[3].tolist()
        [0, 0, 0, 0, 0, 0, 0]
    """
    return finish(smoothing(labels, classes, radius=radius, spacing=spacing))


def smoothing(labels: Labels, classes: Collection[int], *, radius: float, spacing: Sequence[float]) -> Steps:
    """As `smooth`, piece by piece; closing it cancels.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import smoothing
        >>> for step in smoothing(np.array([[0, 1, 1, 0]]), [1], radius=1.0, spacing=(1.0, 1.0)):
        ...     step
        Progress(stage='Smooth', done=0, total=1)
    """
    out = labels.copy()
    sigma = [radius / size for size in spacing]
    boxes = _parts_of(labels, classes)
    if not boxes:
        yield Progress("Smooth", 0, 1)
        return out
    part = _around(boxes.values(), [ceil(3 * s) + 1 for s in sigma], labels.shape)
    around, target = labels[part], out[part]
    tiles = _tiles(around.shape)

    def smooth_tile(tile: Part) -> None:
        near = _around([tile], [ceil(3 * s) + 1 for s in sigma], around.shape)
        inner = tuple(slice(t.start - n.start, t.stop - n.start) for t, n in zip(tile, near, strict=True))
        winner = _prevailing(around[near], sigma, inner)
        if winner is not None:
            changed = np.isin(around[tile], list(classes)) | np.isin(winner, list(classes))
            np.copyto(target[tile], winner, where=changed)

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for done, _ in enumerate(pool.map(smooth_tile, tiles)):
            yield Progress("Smooth", done, len(tiles))
    finally:
        pool.shutdown(cancel_futures=True)
    return out


def _prevailing(labels: Labels, sigma: Sequence[float], inner: Part) -> Labels | None:
    """The label that prevails around each voxel of the inner part, None where there is only one label."""
    if labels.min() == labels.max():
        return None
    shape = labels[inner].shape
    best, total, winner = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, labels.dtype)
    for label in np.unique(labels):
        if label:
            share = blurred(labels == label, sigma)[inner]
            total += share
            np.copyto(winner, label, where=share > best)
            np.maximum(best, share, out=best)
    # Shares add up to one: what prevails where none of the labels does is the background.
    np.copyto(winner, 0, where=best <= 1 - total)
    return winner


def _tiles(shape: tuple[int, ...]) -> list[Part]:
    """An array in pieces, with what is around them small enough for a processor's cache; many have one label only."""
    sides = [[slice(start, min(start + _TILE, n)) for start in range(0, n, _TILE)] for n in shape]
    return list(product(*sides))


def erase(labels: Labels, classes: Collection[int]) -> Labels:
    """Without the classes.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import erase
        >>> erase(np.array([[1, 2, 3]]), [1, 3]).tolist()
        [[0, 2, 0]]
    """
    out = labels.copy()
    out[np.isin(labels, list(classes))] = 0
    return out


def _parts_of(labels: Labels, classes: Collection[int] | None = None) -> dict[int, Part]:
    """The box of each of these classes (or of all) that there is, by its label; the background has none."""
    kind = np.int32 if labels.dtype.itemsize > 2 else labels.dtype
    found = scipy.ndimage.find_objects(labels.astype(kind, copy=False))
    wanted = range(1, len(found) + 1) if classes is None else [label for label in classes if 0 < label <= len(found)]
    return {label: found[label - 1] for label in wanted if found[label - 1] is not None}


def _around(parts: Collection[Part] | Any, margin: Sequence[int], shape: tuple[int, ...]) -> Part:
    """The box around boxes, wider by a margin, inside of an array."""
    sides = list(zip(*parts, strict=True))
    return tuple(
        slice(max(0, min(s.start for s in side) - m), min(n, max(s.stop for s in side) + m))
        for side, m, n in zip(sides, margin, shape, strict=True)
    )


def _part_of(mask: Mask) -> Part | None:
    """The box around a mask, None if it is empty."""
    found = scipy.ndimage.find_objects(mask.view(np.uint8), max_label=1)
    return found[0] if found and found[0] is not None else None
