"""How an answer meets what is there: a correction changes what it touches, and prompts are obeyed."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def corrected(before: Mask, answer: Mask, touched: Mask) -> Mask:
    """`before` with those parts of its difference to `answer` that `touched` meets (after FocalClick, Chen et al. 2022, section 3.3).

    Args:
        before: the mask until now, (*S).
        answer: what the network makes of all prompts, (*S).
        touched: where the new prompt is, (*S); parts that lie next to it count as met.
    """
    difference = before != answer
    everywhere = np.ones((3,) * before.ndim, np.bool_)
    parts, count = scipy.ndimage.label(difference, everywhere)
    if not count:
        return before.copy()
    met = np.zeros(count + 1, np.bool_)
    met[np.unique(parts[scipy.ndimage.binary_dilation(touched, everywhere)])] = True
    met[0] = False
    return np.where(met[parts], answer, before)


def overlapping(mask: Mask, other: Mask) -> Mask:
    """The parts of `mask` that meet `other`; both (*S)."""
    parts, count = scipy.ndimage.label(mask)
    if not count:
        return mask
    met = np.zeros(count + 1, np.bool_)
    met[np.unique(parts[other])] = True
    met[0] = False
    kept: Mask = met[parts]
    return kept


def into_labels(labels: NDArray[Any], mask: Mask, index: int, *, over: bool = False, in_place_of: Mask | None = None) -> NDArray[Any]:
    """Labels (*S) with the object in class `index`.

    >>> import numpy as np
    >>> from ultralightunet.prompting import into_labels
    >>> into_labels(np.array([[1, 2, 0]]), np.array([[False, True, True]]), 1).tolist()
    [[1, 2, 1]]

    Args:
        labels: what is there.
        mask: the object.
        index: its class.
        over: whether it is drawn over other classes, which otherwise stay where they are.
        in_place_of: what of the class the object replaces, the mask that its session began with say.
    """
    out = labels.copy()
    if in_place_of is not None:
        out[in_place_of & (labels == index)] = 0
    out[mask & ((out == 0) | (out == index) | over)] = index
    return out
