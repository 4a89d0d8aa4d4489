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

    Example:
        >>> import torch
        >>> from ultralightunet.learning.losses import dice_cross_entropy
        >>> sure = 20.0 * torch.tensor([[[1.0, -1.0], [1.0, -1.0]], [[-1.0, 1.0], [-1.0, 1.0]]])[None]
        >>> round(float(dice_cross_entropy(sure, torch.tensor([[[0, 1], [0, 1]]]))), 3)
        0.0
    """
    classes = logits.shape[1]
    # Voxels by classes: the softmax runs along memory, and no gradient is as large as the logits once for every class.
    log_probabilities = F.log_softmax(logits.movedim(1, -1).reshape(-1, classes), -1)
    known = (target != IGNORE).flatten()
    truth = torch.where(known, target.flatten(), 0).long()
    of_truth = log_probabilities.gather(1, truth[:, None])[:, 0]
    cross_entropy = -(of_truth * known).sum() / known.sum().clamp_min(1)
    predicted = (log_probabilities.exp() * known[:, None]).sum(0)
    overlap = predicted.new_zeros(classes).index_add(0, truth, of_truth.exp() * known)
    voxels = torch.bincount(truth, known.to(predicted.dtype), classes)
    dice = (2 * overlap + smooth) / (predicted + voxels + smooth)
    return cross_entropy + 1 - dice[1:].mean()


def partial_dice_cross_entropy(logits: Tensor, target: Tensor, *, smooth: float = 1.0) -> Tensor:
    """As `dice_cross_entropy`, for labels of which some were made before the newest classes existed.

    Where a target says "background, or a class from k on", the probabilities of these are added up before the cross-entropy is taken
    (Shi et al. 2021, arXiv 2007.03868, equation 3), and such a voxel plays no part in the Dice of the classes from k on.

    Args:
        logits: (N, K, *S); K = 1 means a sigmoid, as if the background's logit were 0.
        target: (N, *S) class numbers; `IGNORE` leaves a voxel out of both terms; -k means background or a class from k on.
        smooth: added to numerator and denominator of the Dice term, in voxels.

    Example:
        >>> import torch
        >>> from ultralightunet.learning.losses import IGNORE, partial_dice_cross_entropy
        >>> logits = torch.zeros(1, 3, 1, 2)
        >>> unchecked, known = torch.tensor([[[IGNORE, 1]]]), torch.tensor([[[-2, 1]]])  # -2: background or class 2
        >>> bool(partial_dice_cross_entropy(logits, known) < partial_dice_cross_entropy(logits, unchecked))
        True
    """
    if logits.shape[1] == 1:
        logits = torch.cat((torch.zeros_like(logits), logits), 1)
    log_probabilities = F.log_softmax(logits, 1)
    known = target != IGNORE
    classes = torch.where(known, target, 0).long()
    entropy = -log_probabilities.gather(1, classes.clamp_min(0)[:, None])[:, 0]
    for k in sorted({-int(value) for value in classes.amin((*range(1, classes.ndim),)).tolist() if value < 0}):
        entropy = torch.where(classes == -k, -_either(log_probabilities, k), entropy)
    cross_entropy = (entropy * known).sum() / known.sum().clamp_min(1)
    probabilities = log_probabilities.exp()
    terms = []
    for k in range(1, logits.shape[1]):
        # Background from before class k existed may be of class k.
        counted = known & ((classes >= 0) | (classes < -k))
        truth = (classes == k) & counted
        predicted = probabilities[:, k] * counted
        terms.append((2 * (predicted * truth).sum() + smooth) / (predicted.sum() + truth.sum() + smooth))
    return cross_entropy + 1 - torch.stack(terms).mean()


def distillation(logits: Tensor, teacher: Tensor, *, smooth: float = 1.0) -> Tensor:
    """How far a network is from what a teacher said: cross-entropy and one minus soft Dice, as in training from labels.

    Args:
        logits: (N, K, *S); classes that the teacher does not know count as background. K = 1 means a sigmoid.
        teacher: (N, T, *S) probabilities, T from 2 to K; all zero where there is nothing to learn.
        smooth: added to numerator and denominator of the Dice term, in voxels.

    Example:
        >>> import torch
        >>> from ultralightunet.learning.losses import distillation
        >>> logits = torch.tensor([[2.0, -1.0], [0.0, 3.0]])[None]
        >>> bool(distillation(logits, logits.softmax(1)) < distillation(logits, logits.flip(1).softmax(1)))
        True
    """
    if logits.shape[1] == 1:
        logits = torch.cat((torch.zeros_like(logits), logits), 1)
    count = teacher.shape[1]
    log_probabilities = F.log_softmax(logits, 1)
    log_probabilities = torch.cat((_either(log_probabilities, count)[:, None], log_probabilities[:, 1:count]), 1)
    taught = teacher.sum(1)
    total = taught.sum()
    if float(total) == 0:
        return logits.sum() * 0
    cross_entropy = -(teacher * log_probabilities).sum() / total
    # What the teacher is unsure of costs something even where both agree.
    unsure = -(teacher * teacher.clamp_min(1e-7).log()).sum() / total
    probabilities = log_probabilities.exp() * taught[:, None]
    axes = (0, *range(2, logits.ndim))
    overlap = torch.minimum(probabilities, teacher)[:, 1:].sum(axes)
    sizes = probabilities[:, 1:].sum(axes) + teacher[:, 1:].sum(axes)
    return cross_entropy - unsure + 1 - ((2 * overlap + smooth) / (sizes + smooth)).mean()


def _either(log_probabilities: Tensor, k: int) -> Tensor:
    """Logarithm of the probability of the background or a class from k on: (N, K, *S) -> (N, *S)."""
    if k >= log_probabilities.shape[1]:
        return log_probabilities[:, 0]
    return torch.logsumexp(torch.cat((log_probabilities[:, :1], log_probabilities[:, k:]), 1), 1)


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

    Example:
        >>> import torch
        >>> from ultralightunet.learning.losses import boundary_weighted_bce_iou
        >>> truth = torch.zeros(1, 8, 8)
        >>> truth[:, 2:6, 2:6] = 1
        >>> logits = 20 * (2 * truth[:, None] - 1)
        >>> round(float(boundary_weighted_bce_iou(logits, truth, reach=2)), 3)
        0.0
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
