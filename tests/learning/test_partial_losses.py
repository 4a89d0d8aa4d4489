"""The losses where labels are known in part, and where a teacher speaks."""

from __future__ import annotations

import pytest
import torch

from ultralightunet.learning.losses import IGNORE, dice_cross_entropy, distillation, partial_dice_cross_entropy


def logits_and_target(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    target = torch.randint(0, channels, (2, 6, 7, 8))
    target[0, 0] = IGNORE
    return torch.randn(2, channels, 6, 7, 8, requires_grad=True), target.float()


def test_with_known_labels_the_partial_loss_is_the_usual_one() -> None:
    logits, target = logits_and_target()
    torch.testing.assert_close(partial_dice_cross_entropy(logits, target), dice_cross_entropy(logits, target))


def test_a_sigmoid_is_a_softmax_beside_zero() -> None:
    logits, target = logits_and_target(2)
    single = (logits[:, 1:] - logits[:, :1]).detach()
    torch.testing.assert_close(partial_dice_cross_entropy(single, target), dice_cross_entropy(logits, target))


def test_background_from_before_a_class_says_nothing_about_that_class() -> None:
    logits = torch.zeros(1, 4, 2, 2)
    target = torch.full((1, 2, 2), -2.0)
    target[0, 0, 0] = 1
    swapped = logits.clone()
    # Between the background and the classes from 2 on probability may move freely.
    swapped[:, 0, 1] += 5
    same = logits.clone()
    same[:, 2, 1] += 5
    torch.testing.assert_close(partial_dice_cross_entropy(swapped, target), partial_dice_cross_entropy(same, target))
    wrong = logits.clone()
    wrong[0, 1, 1] += 5
    assert partial_dice_cross_entropy(wrong, target) > partial_dice_cross_entropy(logits, target)


def test_cases_with_different_numbers_of_classes_can_be_in_one_batch() -> None:
    logits = torch.randn(2, 4, 3, 3, requires_grad=True)
    target = torch.stack((torch.full((3, 3), -2.0), torch.full((3, 3), -3.0)))
    together = partial_dice_cross_entropy(logits, target)
    together.backward()
    assert torch.isfinite(together)
    # The first allows class 2, the second does not.
    assert logits.grad[0, 2].abs().sum() > 0
    assert (logits.grad[1, 2] > 0).all()


def test_nothing_is_learned_where_everything_is_unknown_and_no_teacher_speaks() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = partial_dice_cross_entropy(logits, torch.full((1, 4, 4), float(IGNORE))) + distillation(logits, torch.zeros(1, 3, 4, 4))
    value.backward()
    assert float(logits.grad.abs().max()) == 0


@pytest.mark.parametrize(("channels", "known"), [(3, 3), (5, 3), (1, 2)])
def test_who_says_what_the_teacher_says_pays_next_to_nothing(channels: int, known: int) -> None:
    torch.manual_seed(0)
    logits = 6 * torch.randn(1, channels, 8, 8)
    own = torch.cat((torch.zeros_like(logits), logits), 1) if channels == 1 else logits
    probabilities = own.softmax(1)
    teacher = torch.cat(((probabilities[:, :1] + probabilities[:, known:].sum(1, keepdim=True)), probabilities[:, 1:known]), 1)
    assert float(distillation(logits, teacher)) < 0.02
    assert float(distillation(-logits, teacher)) > 0.5
