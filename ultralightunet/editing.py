"""Tools for correcting labels in 3D: arrays in, arrays out, free of any toolkit.

Each takes labels (k, j, i) or (j, i) of whole numbers and the classes to work on, changes nothing in place, and returns labels of the same
shape and type. `difference` says what a tool did, so that a host can apply it to what it shows and take it back as one step.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from .errors import InputError
from .inference import postprocessing
from .inference.outlines import between

Labels = NDArray[Any]
Mask = NDArray[np.bool_]
Part = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Edit:
    """Which voxels change, and how.

    Attributes:
        where: their indices, one array for each axis, in the smallest type that holds them: a host keeps them for undo.
        before: their labels until now.
        after: their new labels.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import difference
        >>> before, after = np.array([[0, 0, 1]]), np.array([[2, 0, 3]])
        >>> edit = difference(before, after)
        >>> len(edit), edit.after.tolist()
        (2, [2, 3])
        >>> edit.still_fitting(np.array([[0, 0, 9]])).after.tolist()
        [2]
    """

    where: tuple[NDArray[Any], ...]
    before: Labels
    after: Labels

    def __len__(self) -> int:
        return len(self.before)

    def still_fitting(self, labels: Labels) -> Edit:
        """Without the voxels that someone has changed in `labels` meanwhile: what a person paints counts more than what a tool does."""
        same = labels[self.where] == self.before
        return self if same.all() else Edit(tuple(axis[same] for axis in self.where), self.before[same], self.after[same])


def difference(before: Labels, after: Labels) -> Edit:
    """What leads from one array of labels to another one of the same shape.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.editing import difference
        >>> edit = difference(np.array([[0, 0, 1]]), np.array([[2, 0, 1]]))
        >>> [axis.tolist() for axis in edit.where], edit.before.tolist(), edit.after.tolist()
        ([[0], [0]], [0], [2])
    """
    kind = np.int16 if max(before.shape) < 2**15 else np.int64
    where = tuple(axis.astype(kind) for axis in np.nonzero(before != after))
    return Edit(where, before[where], after[where])


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
    out = labels.copy()
    for label in classes:
        if (part := _part_of(out == label)) is None:
            continue
        islands, count = scipy.ndimage.label(out[part] == label)
        sizes = np.bincount(islands.ravel(), minlength=count + 1) * prod(spacing)
        small = sizes < smallest
        small[0] = False
        out[part][small[islands]] = 0
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
    out = labels.copy()
    sigma = [radius / size for size in spacing]
    wanted = np.isin(labels, list(classes))
    if (part := _part_of(wanted, [ceil(3 * s) + 1 for s in sigma])) is None:
        return out
    around, best = labels[part], np.full(labels[part].shape, -1, np.float32)
    winner = around.copy()
    for label in np.unique(around):
        share = scipy.ndimage.gaussian_filter((around == label).astype(np.float32), sigma, truncate=3, mode="nearest")
        more = share > best
        best[more], winner[more] = share[more], label
    changed = wanted[part] | np.isin(winner, list(classes))
    out[part][changed] = winner[changed]
    return out


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


def _part_of(mask: Mask, margin: Sequence[int] | None = None) -> Part | None:
    """The box around a mask, None if it is empty."""
    found = scipy.ndimage.find_objects(mask.view(np.uint8), max_label=1)
    if not found or found[0] is None:
        return None
    wider = margin or (0,) * mask.ndim
    return tuple(slice(max(0, part.start - m), part.stop + m) for part, m in zip(found[0], wider, strict=True))
