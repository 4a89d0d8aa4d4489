"""The decoder's convolutional multi-focal attention: a weight for each channel, then one for each position."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ultralightunet.networks.blocks import MultiKernelInvertedResidualAttention, SpatialAttention

from .library import call, last


def _sizes(x: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64, ctypes.c_int64]:
    """(N, positions, C)."""
    return ctypes.c_int64(x.shape[0]), ctypes.c_int64(math.prod(x.shape[2:])), ctypes.c_int64(x.shape[1])


class _Attention(torch.autograd.Function):
    """out = x * a * s; how a comes from x, and s from x and a, is small and left to PyTorch, which also differentiates it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, squeeze: Tensor, excite: Tensor, kernel: Tensor) -> Tensor:
        x = last(x)
        (samples, channels), sizes = x.shape[:2], _sizes(x)
        count = x[0, 0].numel()
        sums, ties = torch.zeros(samples, channels, dtype=torch.float64), torch.zeros(samples, channels, dtype=torch.float64)
        maxima = torch.full((samples, channels), -math.inf)
        call("pool_forward", x, *sizes, sums, maxima)
        with torch.enable_grad():
            pooled = [(sums / count).float().requires_grad_(), maxima.clone().requires_grad_()]
            weights = [weight.detach().requires_grad_() for weight in (squeeze, excite, kernel)]
            first, second = (weight.flatten(1) for weight in weights[:2])
            a = torch.sigmoid(sum(F.linear(torch.relu(F.linear(one, first)), second) for one in pooled))
        layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        statistics = torch.empty(samples, 2, *x.shape[2:], memory_format=layout)
        call("statistics_forward", x, *sizes, a.detach(), maxima, statistics, ties)
        with torch.enable_grad():
            statistics.requires_grad_()
            convolve = F.conv2d if x.ndim == 4 else F.conv3d
            s = torch.sigmoid(convolve(statistics, weights[2], padding=kernel.shape[-1] // 2))
        out = torch.empty_like(x)
        call("scale_forward", x, *sizes, a.detach(), s.detach().contiguous(), out)
        ctx.save_for_backward(x, maxima, ties)
        ctx.small = pooled, weights, a, statistics, s
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, maxima, ties = ctx.saved_tensors
        pooled, weights, a, statistics, s = ctx.small
        gradient, sizes, count = last(gradients[0]), _sizes(x), x[0, 0].numel()
        scale, here = a.detach(), s.detach().contiguous()
        ds = torch.empty(s.shape)
        call("scale_backward", x, gradient, *sizes, scale, ds)
        dstatistics, dkernel = torch.autograd.grad(s, (statistics, weights[2]), ds)
        da, dstatistics = torch.zeros(a.shape, dtype=torch.float64), last(dstatistics)
        call("channels_backward", x, gradient, *sizes, scale, here, dstatistics, da)
        dmean, dmaximum, dsqueeze, dexcite = torch.autograd.grad(a, (*pooled, *weights[:2]), da.float())
        dx = torch.empty_like(x)
        dmaximum = (dmaximum / ties).float()
        call("attention_backward", x, gradient, *sizes, scale, here, dstatistics, maxima, (dmean / count).contiguous(), dmaximum, dx)
        return dx, dsqueeze, dexcite, dkernel


def attended_block(self: MultiKernelInvertedResidualAttention, x: Tensor, spatial_attention: SpatialAttention) -> Tensor:
    """Attention, then the block, (N, C, *S) -> (N, K, *S)."""
    if not self.training or x.device.type != "cpu":
        return MultiKernelInvertedResidualAttention.forward(self, x, spatial_attention)
    channel = self.channel_attention
    weights = channel.squeeze.weight, channel.excite.weight, spatial_attention.conv.weight
    attended: Tensor = _Attention.apply(x, *weights)  # type: ignore[no-untyped-call, arg-type]
    out: Tensor = self.block(attended)
    return out
