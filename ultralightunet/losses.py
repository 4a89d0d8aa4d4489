"""Losses for segmentation; every one takes logits and class numbers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = 255
"""Class number of voxels that no loss counts: nobody has checked them."""


def dice_cross_entropy(logits: Tensor, target: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Mean cross-entropy plus one minus the mean soft Dice of the foreground classes, over the whole batch.

    The sum that nnU-Net uses (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z, Methods).

    Args:
        logits: (N, K, *S), K at least 2.
        target: (N, *S) class numbers; `IGNORE` leaves a voxel out of both terms.
        smooth: added to numerator and denominator of the Dice term, in voxels.
    """
    known = target != IGNORE
    classes = torch.where(known, target, 0).long()
    log_probabilities = F.log_softmax(logits, 1)
    count = known.sum().clamp_min(1)
    cross_entropy = -(log_probabilities.gather(1, classes[:, None])[:, 0] * known).sum() / count
    probabilities = log_probabilities.exp() * known[:, None]
    axes = (0, *range(2, logits.ndim))
    overlap = torch.stack([((classes == k) * probabilities[:, k]).sum() for k in range(1, logits.shape[1])])
    truth = torch.stack([((classes == k) & known).sum() for k in range(1, logits.shape[1])])
    dice = (2 * overlap + smooth) / (probabilities.sum(axes)[1:] + truth + smooth)
    return cross_entropy + 1 - dice.mean()


def boundary_weighted_bce_iou(logits: Tensor, target: Tensor, *, reach: int = 15, emphasis: float = 5.0) -> Tensor:
    """Binary cross-entropy plus one minus the soft intersection over union, both with weights that rise towards the object's border.

    The "structure loss" of F3Net (Wei et al. 2020, arXiv 1911.11445, equations 9 to 12), which the published 2D recipe uses. A pixel
    weighs 1 + `emphasis` * |share of the object around it - whether it is object|. Each image counts the same.

    Args:
        logits: (N, 1, *S).
        target: (N, *S), 0 or 1; `IGNORE` leaves a pixel out of both terms and out of its neighbours' weights.
        reach: the surroundings of a pixel are the `2 * reach + 1` pixels along each axis, those outside the image being background.
        emphasis: see above.

    Raises:
        ValueError: if `logits` have more than one channel.
    """
    if logits.shape[1] != 1:
        raise ValueError(f"expected logits with 1 channel for a loss of one class, found {logits.shape[1]}; use dice_cross_entropy")
    logits = logits[:, 0].float()
    known = (target != IGNORE).float()
    truth = (target == 1).float()
    around = _box_mean(truth, reach) / (1 - _box_mean(1 - known, reach)).clamp_min(1e-6)
    weight = (1 + emphasis * (around - truth).abs()) * known
    axes = tuple(range(1, logits.ndim))
    cross_entropy = (F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weight).sum(axes) / weight.sum(axes).clamp_min(
        1e-6
    )
    probability = logits.sigmoid()
    overlap = (probability * truth * weight).sum(axes)
    union = ((probability + truth) * weight).sum(axes) - overlap
    return (cross_entropy + 1 - (overlap + 1) / (union + 1)).mean()


def _box_mean(x: Tensor, reach: int) -> Tensor:
    """Mean of the `2 * reach + 1` values around each along each axis but the first, with zeros outside: (N, *S) -> (N, *S)."""
    for axis in range(1, x.ndim):
        # Running sums: two passes along each axis, however far it reaches; exact, because what is summed are zeros and ones.
        length = x.shape[axis]
        place = torch.arange(length, device=x.device)
        sums = x.cumsum(axis)
        below = sums.index_select(axis, (place - reach - 1).clamp_min(0))
        below.narrow(axis, 0, min(reach + 1, length)).zero_()
        x = sums.index_select(axis, (place + reach).clamp_max(length - 1)) - below
    mean: Tensor = x / (2 * reach + 1) ** (x.ndim - 1)
    return mean
