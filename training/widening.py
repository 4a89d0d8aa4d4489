"""Weights of a network twice as wide that computes the same: what a narrow network has learnt is where the wide one starts.

Every channel becomes two. What reads both takes a random share of the weight from each, so that the two soon learn different things.
Source: Chen, Goodfellow, Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ultralightunet.architecture import Architecture, shuffle_groups

SHARES = 0.25, 0.75
"""Between which the first of two copies gets its share of a weight."""


def _one_by_one(count: int) -> Tensor:
    """Of which of `count` channels each of twice as many is a copy: 0, 0, 1, 1, 2, 2, ..."""
    return torch.arange(count).repeat_interleave(2)


def _pairwise(count: int) -> Tensor:
    """The same where pairs are copied, because a gate's grouped kernels read two neighbours each: 0, 1, 0, 1, 2, 3, 2, 3, ..."""
    return torch.arange(count).reshape(-1, 1, 2).expand(-1, 2, -1).reshape(-1)


def _shuffled(numbers: Tensor, groups: int) -> Tensor:
    """Where `channel_shuffle` puts what channel."""
    return numbers.reshape(groups, -1).t().reshape(-1)


def twice_as_wide(weights: Mapping[str, Tensor], narrow: Architecture) -> dict[str, Tensor]:
    """The weights of `narrow` for an architecture whose five widths are twice as large; the same ones in every call."""
    generator = torch.Generator().manual_seed(0)
    wide = dict(weights)

    def copy(name: str, origins: Callable[[int], Tensor] = _pairwise) -> None:
        """Channels of a kernel's output, or of a norm."""
        for part in ("weight", "bias", "running_mean", "running_var"):
            if f"{name}.{part}" in wide:
                value = wide[f"{name}.{part}"]
                wide[f"{name}.{part}"] = value[origins(len(value))]

    def share(name: str, origins: Tensor) -> None:
        """Channels of a kernel's input: number `k` of the wide one is a copy of number `origins[k]`."""
        value = wide[f"{name}.weight"]
        low, high = SHARES
        first = low + (high - low) * torch.rand(value.shape[:2], generator=generator)
        # The earlier of the two copies of each channel.
        leading = torch.tensor([int(k not in origins[:n]) for n, k in enumerate(origins)], dtype=torch.bool)
        part = torch.where(leading, first[:, origins], 1 - first[:, origins])
        wide[f"{name}.weight"] = value[:, origins] * part.reshape(*part.shape, *[1] * (value.ndim - 2))

    def block(name: str, width_in: int, width_out: int, *, first: bool) -> None:
        hidden = len(weights[f"{name}.expand.0.weight"])
        # The image's own channels stay as many as they are, and so do those made of them.
        within = torch.arange(hidden) if first else _pairwise(hidden)
        if not first:
            for part in ("expand.0", "expand.1", *(f"depthwise.branches.{b}.{layer}" for b in range(3) for layer in range(2))):
                copy(f"{name}.{part}")
            share(f"{name}.expand.0", _pairwise(width_in))
        narrow_order = _shuffled(torch.arange(hidden), shuffle_groups(hidden, width_out))
        wide_order = _shuffled(within, shuffle_groups(len(within), 2 * width_out))
        copy(f"{name}.project.0")
        copy(f"{name}.project.1")
        origins = narrow_order.argsort()[wide_order]
        if first:
            wide[f"{name}.project.0.weight"] = wide[f"{name}.project.0.weight"][:, origins]
        else:
            share(f"{name}.project.0", origins)
        if f"{name}.residual.weight" in weights:
            copy(f"{name}.residual")
            if not first:
                share(f"{name}.residual", _pairwise(width_in))

    encoder, decoder = narrow.stages
    for number, (width_in, width_out) in enumerate(encoder):
        block(f"encoder.{number}", width_in, width_out, first=number == 0)
    for number, (width_in, width_out) in enumerate(decoder):
        attention = f"decoder.{number}.channel_attention"
        squeezed = len(weights[f"{attention}.squeeze.weight"])
        copy(f"{attention}.squeeze", _one_by_one)
        share(f"{attention}.squeeze", _pairwise(width_in))
        copy(f"{attention}.excite")
        share(f"{attention}.excite", _one_by_one(squeezed))
        block(f"decoder.{number}.block", width_in, width_out, first=False)
    for number in range(4):
        for branch in ("gate", "skip"):
            copy(f"gates.{number}.{branch}.0", _one_by_one)
            copy(f"gates.{number}.{branch}.1", _one_by_one)
        share(f"gates.{number}.attend.0", _one_by_one(weights[f"gates.{number}.attend.0.weight"].shape[1]))
    share("head", _pairwise(narrow.channels[0]))
    return wide
