"""From the outlines in two slices to those between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def between(first: Mask, last: Mask, steps: int, spacing: Sequence[float]) -> list[tuple[int, NDArray[np.float32]]]:
    """Shapes between two slices, by blending the distances from their outlines.

    Outlines are moved onto each other's centre before they are blended (shape-based interpolation after Raya and Udupa 1990), so that
    a structure that runs obliquely does not thin out.

    Args:
        first: mask (J, I), not empty.
        last: the same, `steps` slices further.
        steps: at least 2.
        spacing: mm of a pixel along (j, i).

    Returns:
        For each slice between: its distance from the first in slices, and how deep in the shape each pixel lies, in mm (J, I).
    """
    ends = [(_depth(mask, spacing), np.array(scipy.ndimage.center_of_mass(mask))) for mask in (first, last)]
    found = []
    for n in range(1, steps):
        share = n / steps
        centre = (1 - share) * ends[0][1] + share * ends[1][1]
        moved = [scipy.ndimage.shift(depth, centre - own, order=1, mode="nearest") for depth, own in ends]
        found.append((n, (1 - share) * moved[0] + share * moved[1]))
    return found


def _depth(mask: Mask, spacing: Sequence[float]) -> NDArray[np.float32]:
    """Distance from the outline in mm, positive inside. Outlines lie between pixels."""
    inside = scipy.ndimage.distance_transform_edt(mask, sampling=spacing)
    outside = scipy.ndimage.distance_transform_edt(~mask, sampling=spacing) if not mask.all() else np.zeros(mask.shape)
    half = min(spacing) / 2
    return np.where(mask, inside - half, half - outside).astype(np.float32)
