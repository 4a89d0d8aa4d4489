"""The inverted residual block: norms behind point-wise convolutions, and the multi-kernel depth-wise convolution between them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ultralightunet.networks.blocks import MultiKernelDepthwiseConv, MultiKernelInvertedResidual, channel_shuffle

from .library import call, compiled, last, shape_of


def _taps(weight: Tensor) -> Tensor:
    """(C, 1, *k) -> (taps, C)."""
    return weight.flatten(1).t().contiguous()


class _Statistics:
    """Means and scales of a norm over (N, C) sums; batch norm takes them over N as well.

    Attributes:
        a: gamma / standard deviation, (N, C).
        b: beta - mean * a, (N, C).
    """

    def __init__(self, total: Tensor, squares: Tensor, count: int, norm: nn.Module) -> None:
        self.batch = isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d)
        samples = len(total)
        if self.batch:
            total, squares, count = total.sum(0, keepdim=True), squares.sum(0, keepdim=True), count * samples
        self.count = count
        mean = total / count
        variance = (squares / count - mean * mean).clamp_min_(0)
        if self.batch and norm.training and norm.track_running_stats:
            norm.num_batches_tracked.add_(1)
            norm.running_mean.lerp_(mean[0].float(), norm.momentum)
            norm.running_var.lerp_((variance[0] * (count / (count - 1))).float(), norm.momentum)
        self.mean, self.inverse = mean, (variance + norm.eps).rsqrt()
        self.gamma = norm.weight.detach().double()
        self.a = (self.gamma * self.inverse).expand(samples, -1)
        self.b = norm.bias.detach().double() - self.mean * self.a

    def gradients(self, passed: Tensor, times_input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """From the sums (N, C) of the gradient and of gradient times input: p, q, r of the input's gradient, and those of gamma, beta."""
        samples = len(passed)
        if self.batch:
            passed, times_input = passed.sum(0, keepdim=True), times_input.sum(0, keepdim=True)
        normalised = self.inverse * (times_input - self.mean * passed)
        p = self.gamma * self.inverse
        q = -p * self.inverse * normalised / self.count
        r = -p * passed / self.count - q * self.mean
        return (*(part.expand(samples, -1) for part in (p, q, r)), normalised.sum(0), passed.sum(0))


def _floats(*parts: Tensor) -> Tensor:
    """(N, C) each -> (N, number of parts, C), single precision."""
    return torch.stack(parts, 1).float().contiguous()


class _Branches(torch.autograd.Function):
    """The multi-kernel depth-wise convolution: sum over branches of clamp(norm(convolution))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norms: tuple[nn.Module, ...], *parameters: Tensor) -> Tensor:
        w1, w3, w5 = parameters[:3]
        x, shape, taps = last(x), shape_of(x), (_taps(w3), _taps(w5))
        padded = x.new_empty(compiled().padded_size(shape))
        y3, y5, out = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)
        sums = torch.zeros(x.shape[0], 6, x.shape[1], dtype=torch.float64)
        call("depthwise_forward", x, shape, *taps, padded, y3, y5, sums)
        scale = w1.flatten().double()
        sums[:, 0] *= scale
        sums[:, 3] *= scale * scale
        count = x[0, 0].numel()
        statistics = [_Statistics(sums[:, k], sums[:, 3 + k], count, norm) for k, norm in enumerate(norms)]
        # The branch of one weight a channel is never written down: its norm acts on x itself.
        a = _floats(statistics[0].a * scale, *(s.a for s in statistics[1:]))
        b = _floats(*(s.b for s in statistics))
        call("branches_forward", x, y3, y5, shape, a, b, out)
        ctx.save_for_backward(x, y3, y5, padded, a, b, w1, w3, w5)
        ctx.statistics = statistics
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        x, y3, y5, padded, a, b, w1, w3, w5 = ctx.saved_tensors
        gradient, shape = last(gradients[0]), shape_of(x)
        sums = torch.zeros(x.shape[0], 6, x.shape[1], dtype=torch.float64)
        call("branches_sums", x, y3, y5, gradient, shape, a, b, sums)
        scale = w1.flatten().double()
        sums[:, 3] *= scale
        found = [s.gradients(sums[:, k], sums[:, 3 + k]) for k, s in enumerate(ctx.statistics)]
        p, q, r = (_floats(*(part[k] for part in found)) for k in range(3))
        q[:, 0] *= scale.float()
        dx, padded3, padded5 = torch.empty_like(x), torch.empty_like(padded), torch.empty_like(padded)
        d1, d3, d5 = (torch.zeros(w[0].numel(), len(w), dtype=torch.float64) for w in (w1, w3, w5))
        weights = (w1.flatten().contiguous(), _taps(w3), _taps(w5))
        call("depthwise_backward", x, y3, y5, gradient, padded, padded3, padded5, shape, a, b, p, q, r, *weights, dx, d1, d3, d5)
        shaped = (d.t().reshape(w.shape).float() for d, w in ((d1, w1), (d3, w3), (d5, w5)))
        return dx, None, *shaped, *(part.float() for one in found for part in one[3:])


class _Norm(torch.autograd.Function):
    """A norm, and the clamp to 0..6 behind it where there is one."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, norm: nn.Module, clamped: bool, *_parameters: Tensor) -> Tensor:
        y, shape = last(y), shape_of(y)
        out = torch.empty_like(y)
        sums = torch.zeros(y.shape[0], 2, y.shape[1], dtype=torch.float64)
        call("norm_sums", y, shape, sums)
        ctx.statistics = _Statistics(sums[:, 0], sums[:, 1], y[0, 0].numel(), norm)
        a, b = ctx.statistics.a.float().contiguous(), ctx.statistics.b.float().contiguous()
        call("norm_forward", y, shape, a, b, out, int(clamped))
        ctx.save_for_backward(y, a, b)
        ctx.clamped = int(clamped)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        y, a, b = ctx.saved_tensors
        gradient, shape = last(gradients[0]), shape_of(y)
        sums = torch.zeros(y.shape[0], 2, y.shape[1], dtype=torch.float64)
        call("norm_backward_sums", y, gradient, shape, a, b, sums, ctx.clamped)
        p, q, r, gamma, beta = ctx.statistics.gradients(sums[:, 0], sums[:, 1])
        dy = torch.empty_like(y)
        call("norm_backward", y, gradient, shape, a, b, *(part.float().contiguous() for part in (p, q, r)), dy, ctx.clamped)
        return dy, None, None, gamma.float(), beta.float()


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution as one matrix product, which stays in channels-last layout."""
    return F.linear(x.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)


def _norm(norm: nn.Module, y: Tensor, *, clamped: bool) -> Tensor:
    out: Tensor = _Norm.apply(y, norm, clamped, norm.weight, norm.bias)  # type: ignore[no-untyped-call]
    return out


def is_pointwise(module: nn.Conv2d | nn.Conv3d) -> bool:
    """Whether `point` computes the same."""
    return module.groups == 1 and {*module.kernel_size, *module.stride} == {1} and not any(module.padding)


def point(self: nn.Conv2d | nn.Conv3d, x: Tensor) -> Tensor:
    """A point-wise convolution, (N, C, *S) -> (N, K, *S)."""
    if not self.training or x.device.type != "cpu":
        return type(self).forward(self, x)
    return _pointwise(x, self.weight, self.bias)


def branches(self: MultiKernelDepthwiseConv, x: Tensor) -> Tensor:
    """The multi-kernel depth-wise convolution, (N, C, *S) -> (N, C, *S)."""
    if not self.training or x.device.type != "cpu":
        return MultiKernelDepthwiseConv.forward(self, x)
    convolutions, norms = [branch[0] for branch in self.branches], tuple(branch[1] for branch in self.branches)  # type: ignore[index]
    parameters = [*(c.weight for c in convolutions), *(p for norm in norms for p in (norm.weight, norm.bias))]
    out: Tensor = _Branches.apply(x, norms, *parameters)  # type: ignore[no-untyped-call]
    return out


def block(self: MultiKernelInvertedResidual, x: Tensor) -> Tensor:
    """The inverted residual block, (N, C, *S) -> (N, K, *S)."""
    if not self.training or x.device.type != "cpu":
        return MultiKernelInvertedResidual.forward(self, x)
    hidden = self.depthwise(_norm(self.expand[1], _pointwise(x, self.expand[0].weight), clamped=True))
    # As in the network itself, the weights are shuffled in place of the channels.
    weight = channel_shuffle(self.project[0].weight, self.project[0].weight.shape[1] // self.shuffle_groups)
    projected = _norm(self.project[1], _pointwise(hidden, weight), clamped=False)
    residual = x if isinstance(self.residual, nn.Identity) else _pointwise(x, self.residual.weight)  # type: ignore[arg-type]
    return residual + projected
