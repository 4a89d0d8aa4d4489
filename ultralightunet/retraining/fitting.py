"""The network of a model, made ready to go on learning, and what it learns by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ..learning.losses import distillation, partial_dice_cross_entropy
from ..models import Model
from ..networks import UltraLightUNet, network_with

_NEW_CLASS = -2.0
"""By how much the logit of a new class begins below the background's: it is found nowhere until it is learned."""


class NetworkEngine:
    """A network in training, in place of an engine; see `Engine`."""

    name, device = "torch", "cpu"

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def prepare(self, shape: tuple[int, ...]) -> None:
        """See `Engine`; there is nothing to do."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            logits: np.ndarray = self.network(torch.from_numpy(np.ascontiguousarray(batch)).to(device)).cpu().numpy()
            return logits


def network_of(model: Model, out_channels: int) -> UltraLightUNet:
    """The network of a model with its weights; further output channels begin as a background that never wins."""
    weights = {name: values.astype(np.float32) for name, values in model.weights().items()}
    weight, bias = weights["head.weight"], weights["head.bias"]
    if out_channels > len(bias):
        if len(bias) == 1:
            # A sigmoid is a softmax beside a background whose logit is 0.
            weight, bias = np.concatenate((np.zeros_like(weight), weight)), np.concatenate((np.zeros_like(bias), bias))
        more = out_channels - len(bias)
        weights["head.weight"] = np.concatenate((weight, *(weight[:1],) * more))
        weights["head.bias"] = np.concatenate((bias, *(bias[:1] + _NEW_CLASS,) * more))
    return network_with(replace(model.architecture, out_channels=len(weights["head.bias"])), weights)


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """What a model folder stores of a network."""
    return {name: value.numpy() for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}


class _FrozenBatchNorm2d(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> _FrozenBatchNorm2d:
        super().train(False)
        return self


class _FrozenBatchNorm3d(nn.BatchNorm3d):
    def train(self, mode: bool = True) -> _FrozenBatchNorm3d:
        super().train(False)
        return self


def freeze_statistics(network: nn.Module) -> None:
    """Let every batch norm keep the statistics that it has: those of a few cases would not be those of all to come."""
    for module in network.modules():
        for plain, frozen in ((nn.BatchNorm2d, _FrozenBatchNorm2d), (nn.BatchNorm3d, _FrozenBatchNorm3d)):
            if type(module) is plain:
                module.__class__ = frozen
                module.eval()


def loss(logits: Tensor, target: Tensor) -> Tensor:
    """From the corrections, and from the teacher, see `Sampler`."""
    return partial_dice_cross_entropy(logits, target[:, 0]) + distillation(logits, target[:, 1:])


def blended(parent: Mapping[str, np.ndarray], child: Mapping[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """Weights between two networks of one shape: `share` of the child's (Wortsman et al. 2022, arXiv 2109.01903, WiSE-FT)."""
    return {name: (1 - share) * parent[name] + share * value for name, value in child.items()}
