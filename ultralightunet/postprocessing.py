"""What a user expects of labels after the network: no stray islands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray


def keep_largest(labels: NDArray[Any], groups: Iterable[tuple[int, ...]]) -> None:
    """Set to 0, in place, what does not hang together with the largest island of each group of classes.

    Args:
        labels: (*S), a view will do.
        groups: classes that are taken together, e.g. ((1, 2),); voxels touch through faces.
    """
    for group in groups:
        mask = np.isin(labels, group)
        islands, count = scipy.ndimage.label(mask)
        if count < 2:
            continue
        sizes = np.bincount(islands.ravel())
        sizes[0] = 0
        labels[mask & (islands != sizes.argmax())] = 0
