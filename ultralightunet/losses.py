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
