"""What a user expects of labels after the network: no stray islands."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray


def keep_largest(labels: NDArray[Any], group: tuple[int, ...]) -> None:
    """Set to 0, in place, what does not hang together with the largest island of a group of classes.

    Args:
        labels: (*S), a view will do.
        group: classes that are taken together, e.g. (1, 2); voxels touch through faces.
    """
    wanted = np.zeros(int(labels.max(initial=0)) + 1, bool)
    wanted[[index for index in group if index < len(wanted)]] = True
    # Islands take four bytes a voxel: look only where there are any.
    found = scipy.ndimage.find_objects(wanted[labels].view(np.uint8), max_label=1)
    if not found or found[0] is None:
        return
    part = labels[found[0]]
    mask = wanted[part]
    islands, count = scipy.ndimage.label(mask)
    if count < 2:
        return
    sizes = sum((np.bincount(slab.ravel(), minlength=count + 1) for slab in islands), start=np.zeros(count + 1, np.int64))
    sizes[0] = 0
    part[mask & (islands != sizes.argmax())] = 0
