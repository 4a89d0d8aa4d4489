"""Depth-wise convolution with a backward pass that is cheap on a CPU.

PyTorch's backward pass of a depth-wise 3D convolution takes over ten times as long as its forward pass on a CPU, and three
quarters of a training step of UltraLightUNet. The same gradients, exactly:

- with respect to the input: the forward convolution of the gradient with the mirrored kernel;
- with respect to the weights: one 2D depth-wise weight gradient per kernel plane, each on a run of adjacent slices, for which
  the CPU library has a fast kernel at 3x3. A 5x5 plane is put together from four 3x3 ones that are offset by two voxels.

In 2D only the weight gradient of a 5x5 kernel is slow, and a 1x1 kernel, which PyTorch applies channel by channel.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def depthwise_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """Depth-wise convolution that keeps the spatial size, cheap to train on a CPU.

    Args:
        x: (N, C, H, W), best in channels-last layout.
        weight: (C, 1, k, k) with an odd k.
    """
    size = weight.shape[-1]
    if size == 1:
        return x * weight.flatten()[:, None, None]
    if size != 5 or x.shape[1] < _LANES:
        return F.conv2d(x, weight, padding=size // 2, groups=weight.shape[0])
    out: Tensor = _Cheap5x5Backward.apply(x, weight)  # type: ignore[no-untyped-call]
    return out


def depthwise_conv3d(x: Tensor, weight: Tensor) -> Tensor:
    """Depth-wise convolution that keeps the spatial size, cheap to train on a CPU.

    Args:
        x: (N, C, D, H, W).
        weight: (C, 1, k, k, k) with an odd k.
    """
    size, depth = weight.shape[-1], x.shape[2]
    if size not in (3, 5) or depth < _SMALLEST_DEPTH:
        return _convolve(x, weight)
    slabs = min(_LANES // x.shape[1], depth // 4)
    if slabs < 2:
        return _cheap(x, weight)
    reach = size // 2
    packed = _cheap(_pack(x, slabs, reach), weight.repeat(slabs, 1, 1, 1, 1))
    return _unpack(packed, slabs, reach, depth)


_LANES = 16
"""Channels that the CPU library's vector kernels take at once; with fewer it falls back to a loop several times slower."""

_SMALLEST_DEPTH = 8
"""Below this the fixed costs outweigh the gain."""


def _pack(x: Tensor, slabs: int, reach: int) -> Tensor:
    """Few channels of a deep volume -> `slabs` overlapping slabs of it as channels: (N, slabs * C, depth + 2 * reach, H, W)."""
    thickness = -(-x.shape[2] // slabs)
    x = F.pad(x, (0, 0, 0, 0, reach, reach + thickness * slabs - x.shape[2]))
    windows = x.unfold(2, thickness + 2 * reach, thickness)
    return windows.permute(0, 2, 1, 5, 3, 4).flatten(1, 2).contiguous(memory_format=torch.channels_last_3d)


def _unpack(x: Tensor, slabs: int, reach: int, depth: int) -> Tensor:
    """The inverse of `_pack`, without the slabs' margins."""
    inner: Tensor = x[:, :, reach : x.shape[2] - reach].unflatten(1, (slabs, -1))
    joined = inner.permute(0, 2, 1, 3, 4, 5).flatten(2, 3)[:, :, :depth]
    return joined.contiguous(memory_format=torch.channels_last_3d)


def _cheap(x: Tensor, weight: Tensor) -> Tensor:
    out: Tensor = _CheapBackward.apply(x, weight)  # type: ignore[no-untyped-call]
    return out


class _CheapBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last_3d)
        return (
            _convolve(grad, weight.flip(2, 3, 4)) if ctx.needs_input_grad[0] else None,
            _weight_gradient(x.contiguous(memory_format=torch.channels_last_3d), grad, weight) if ctx.needs_input_grad[1] else None,
        )


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv3d(x, weight, padding=weight.shape[-1] // 2, groups=weight.shape[0])


def _weight_gradient(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """The sum over voxels of `grad` times `x` shifted by each offset of the kernel: (C, 1, k, k, k)."""
    size = weight.shape[-1]
    reach = size // 2
    out = torch.zeros_like(weight)
    if size == 5:
        x = F.pad(x, (1, 1, 1, 1))
    corners = (0,) if size == 3 else (0, 2)
    for row in corners:
        for column in corners:
            moved = grad if size == 3 else F.pad(grad, (column, 2 - column, row, 2 - row))
            for plane in range(size):
                part = _plane_gradient(x, moved, plane - reach)
                # The four parts of a 5x5 plane share its middle row and column, with equal values there.
                out[:, :, plane, row : row + 3, column : column + 3] = part
    return out


def _plane_gradient(x: Tensor, grad: Tensor, shift: int) -> Tensor:
    """The 3x3 weight gradient between slices of `grad` and the slices of `x` that lie `shift` further: (C, 1, 3, 3)."""
    channels, depth = x.shape[1], x.shape[2]
    kernel = x.new_empty(channels, 1, 3, 3)
    total = torch.zeros_like(kernel)
    if abs(shift) >= depth:
        return total
    for image, gradient in zip(x, grad, strict=True):
        moved = image[:, max(shift, 0) : depth + min(shift, 0)].transpose(0, 1)
        fixed = gradient[:, max(-shift, 0) : depth + min(-shift, 0)].transpose(0, 1)
        total += torch.ops.aten.convolution_backward(
            fixed, moved, kernel, None, [1, 1], [1, 1], [1, 1], False, [0, 0], channels, [False, True, False]
        )[1]
    return total


class _Cheap5x5Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=2, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        return (
            F.conv2d(grad, weight.flip(2, 3), padding=2, groups=weight.shape[0]) if ctx.needs_input_grad[0] else None,
            _weight_gradient_5x5(x.contiguous(memory_format=torch.channels_last), grad, weight) if ctx.needs_input_grad[1] else None,
        )


def _weight_gradient_5x5(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """The sum over pixels of `grad` times `x` shifted by each offset of the kernel: (C, 1, 5, 5)."""
    channels, height, width = x.shape[1:]
    kernel, out = x.new_empty(channels, 1, 3, 3), torch.empty_like(weight)
    x, grad = F.pad(x, (1, 1, 1, 1)), F.pad(grad, (2, 2, 2, 2))
    for row in (0, 2):
        for column in (0, 2):
            moved = grad[:, :, 2 - row : height + 4 - row, 2 - column : width + 4 - column].contiguous(memory_format=torch.channels_last)
            # As in 3D, the four parts agree where they overlap.
            out[:, :, row : row + 3, column : column + 3] = torch.ops.aten.convolution_backward(
                moved, x, kernel, None, [1, 1], [1, 1], [1, 1], False, [0, 0], channels, [False, True, False]
            )[1]
    return out
