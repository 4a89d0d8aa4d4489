"""Losses: the published formulas, with unchecked pixels left out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ultralightunet.learning.losses import IGNORE, boundary_weighted_bce_iou, dice_cross_entropy


def disc(size: tuple[int, ...], radius: float = 12.0) -> Tensor:
    """A ball in the middle of a batch of two images, the second one shifted."""
    axes = torch.meshgrid(*(torch.arange(n) - n / 2 for n in size), indexing="ij")
    first = (sum(a**2 for a in axes) < radius**2).long()
    return torch.stack((first, first.roll(7, 0)))


def structure_loss_as_published(logits: Tensor, mask: Tensor) -> Tensor:
    """F3Net's formula written down term by term for one image (1, 1, H, W) with nothing left out."""
    window = torch.ones(1, 1, 31, 31, dtype=mask.dtype) / 31**2
    weight = 1 + 5 * (F.conv2d(mask, window, padding=15) - mask).abs()
    probability = torch.sigmoid(logits)
    entropy = -(mask * probability.log() + (1 - mask) * (1 - probability).log())
    both, either = (probability * mask * weight).sum(), ((probability + mask) * weight).sum()
    return (weight * entropy).sum() / weight.sum() + 1 - (both + 1) / (either - both + 1)


def test_the_boundary_weighted_loss_is_the_published_one() -> None:
    torch.manual_seed(0)
    target = disc((48, 64))
    logits = torch.randn(2, 1, 48, 64)
    expected = torch.stack(
        [structure_loss_as_published(a[None].double(), b[None, None].double()) for a, b in zip(logits, target, strict=True)]
    )
    torch.testing.assert_close(boundary_weighted_bce_iou(logits, target.to(torch.uint8)).double(), expected.mean(), rtol=1e-5, atol=1e-6)


def test_the_border_weighs_more_than_the_inside_and_the_outside() -> None:
    target = disc((96, 96), radius=30)[:1]
    logits = torch.zeros(1, 1, 96, 96, requires_grad=True)
    boundary_weighted_bce_iou(logits, target).backward()
    strength = logits.grad[0, 0].abs()
    # The row through the middle: outside, the border at 48 - 30, the centre.
    assert strength[48, 18] > 2 * strength[48, 1]
    assert strength[48, 18] > 2 * strength[48, 48]


@pytest.mark.parametrize("size", [(40, 56), (24, 28, 36)])
def test_the_boundary_weighted_loss_falls_as_the_answer_gets_better(size: tuple[int, ...]) -> None:
    target = disc(size, radius=8)
    sure = (target.float() * 2 - 1)[:, None]
    values = [float(boundary_weighted_bce_iou(sure * factor, target)) for factor in (-10, -1, 0, 1, 10)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-3


def test_the_boundary_weighted_loss_reads_a_volume_along_every_axis() -> None:
    torch.manual_seed(0)
    target, logits = disc((20, 24, 28), radius=7), torch.randn(2, 1, 20, 24, 28)
    turned = boundary_weighted_bce_iou(logits.permute(0, 1, 4, 2, 3), target.permute(0, 3, 1, 2), reach=3)
    torch.testing.assert_close(boundary_weighted_bce_iou(logits, target, reach=3), turned)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_nobody_checked_changes_nothing(channels: int) -> None:
    torch.manual_seed(0)
    loss = boundary_weighted_bce_iou if channels == 1 else dice_cross_entropy
    target = disc((48, 48))
    target[:, 30:] = IGNORE
    logits = torch.randn(2, channels, 48, 48, requires_grad=True)
    value = loss(logits, target)
    value.backward()
    assert logits.grad[:, :, 30:].abs().max() == 0
    assert logits.grad[:, :, :30].abs().max() > 0
    changed = logits.detach().clone()
    changed[:, :, 30:] = 100
    torch.testing.assert_close(loss(changed, target), value.detach())


def test_an_unchecked_neighbourhood_makes_no_border() -> None:
    """All of one class as far as anybody knows: every known pixel weighs the same."""
    target = torch.ones(1, 64, 64, dtype=torch.long)
    target[:, :, 40:] = IGNORE
    logits = torch.zeros(1, 1, 64, 64, requires_grad=True)
    boundary_weighted_bce_iou(logits, target).backward()
    inside = logits.grad[0, 0, 16:48, 16:40]
    torch.testing.assert_close(inside, inside[:1, :1].expand_as(inside))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("value", [0, 1, IGNORE])
def test_an_image_of_one_class_or_none_gives_finite_gradients(channels: int, value: int) -> None:
    loss = boundary_weighted_bce_iou if channels == 1 else dice_cross_entropy
    logits = torch.randn(1, channels, 33, 35, requires_grad=True)
    result = loss(logits, torch.full((1, 33, 35), value, dtype=torch.uint8))
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(logits.grad).all()


def test_the_boundary_weighted_loss_names_logits_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="found 2; use dice_cross_entropy"):
        boundary_weighted_bce_iou(torch.zeros(1, 2, 8, 8), torch.zeros(1, 8, 8))


def test_dice_cross_entropy_of_a_sure_and_right_answer_is_almost_zero() -> None:
    target = disc((32, 32))
    logits = 20 * F.one_hot(target, 3).movedim(-1, 1).float()
    # The third class is absent from image and answer: its smoothed Dice is 1.
    assert dice_cross_entropy(logits, target) < 1e-3
    assert dice_cross_entropy(logits.flip(1), target) > 10
