"""Samples learned from side by side give the gradients of the samples learned from together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ultralightunet import UltraLightUNet
from ultralightunet.learning.side_by_side import SideBySide
from ultralightunet.retraining.fitting import freeze_statistics


def loss(logits: Tensor, target: Tensor) -> Tensor:
    return (logits - target).square().mean()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_gradients_are_those_of_the_whole_batch(count: int) -> None:
    torch.manual_seed(0)
    network = UltraLightUNet(variant="T", in_channels=1)
    freeze_statistics(network)
    images, targets = torch.randn(3, 1, 32, 64), torch.randn(3, 1, 32, 64)
    together = SideBySide(network, loss, count)
    for _ in range(2):
        joint = loss(network(images), targets)
        expected = torch.autograd.grad(joint, list(network.parameters()))
        # What is there already does not count.
        for value in network.parameters():
            value.grad = torch.full_like(value, 7.0)
        assert together.gradients(images, targets) == pytest.approx(float(joint.detach()), rel=1e-4)
        for value, wanted in zip(network.parameters(), expected, strict=True):
            torch.testing.assert_close(value.grad, wanted, atol=1e-5, rtol=1e-3)
        # The replicas follow.
        with torch.no_grad():
            for value in network.parameters():
                value.add_(0.01 * torch.randn_like(value))


def test_an_error_on_one_thread_reaches_the_caller() -> None:
    def broken(logits: Tensor, target: Tensor) -> Tensor:
        if float(target.sum()) > 0:
            raise RuntimeError("of the second sample")
        return logits.mean()

    targets = torch.zeros(2, 1, 32, 32)
    targets[1] = 1
    network = UltraLightUNet(variant="T", in_channels=1)
    freeze_statistics(network)
    with pytest.raises(RuntimeError, match="second sample"):
        SideBySide(network, broken, 2).gradients(torch.zeros(2, 1, 32, 32), targets)
