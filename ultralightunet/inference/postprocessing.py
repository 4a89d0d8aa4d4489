"""What a user expects of labels after the network: no stray islands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def keep_largest(labels: NDArray[Any], group: tuple[int, ...]) -> None:
    """Set to 0, in place, what does not hang together with the largest island of a group of classes.

    Args:
        labels: (*S), a view will do.
        group: classes that are taken together, e.g. (1, 2); voxels touch through faces.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.inference.postprocessing import keep_largest
        >>> labels = np.array([[1, 1, 0, 1]])
        >>> keep_largest(labels, (1,))
        >>> labels.tolist()
        [[1, 1, 0, 0]]
    """
    mask = _members(labels, group)
    # Islands take four bytes a voxel: look only where there are any.
    occupied = [np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis))) for axis in range(mask.ndim)]
    if any(found.size == 0 for found in occupied):
        return
    box = tuple(slice(int(found[0]), int(found[-1]) + 1) for found in occupied)
    part, mask = labels[box], mask[box]
    # Imported where it is needed: whoever segments has it done while the network is being compiled.
    import scipy.ndimage

    islands, count = scipy.ndimage.label(mask)
    if count < 2:
        return
    sizes = sum((np.bincount(slab.ravel(), minlength=count + 1) for slab in islands), start=np.zeros(count + 1, np.int64))
    sizes[0] = 0
    part[mask & (islands != sizes.argmax())] = 0


def _members(labels: NDArray[Any], group: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where there is a class of the group. Comparing is much quicker than looking up, and most groups are classes in a row."""
    low, high = min(group, default=1), max(group, default=0)
    inside: NDArray[np.bool_] = (labels >= low) & (labels <= high)
    for index in set(range(low, high + 1)) - set(group):
        inside &= labels != index
    return inside
