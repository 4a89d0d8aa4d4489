"""The building blocks of UltraLightUNet, under the paper's own terms.

Source: Rahman and Marculescu, "MK-UNet: Multi-kernel Lightweight CNN for Medical Image Segmentation",
ICCV Workshops 2025 (submitted to ICLR 2025 as "UltraLightUNet"), section 3. Every block exists in 2D and 3D;
shapes below write ``*S`` for the spatial axes, ``(H, W)`` or ``(D, H, W)``.
"""

from __future__ import annotations

import operator
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..architecture import EXPANSION, KERNEL_SIZES, Norm, shuffle_groups
from .depthwise import depthwise_conv2d, depthwise_conv3d


def conv(spatial_dims: int, in_channels: int, out_channels: int, kernel_size: int, *, groups: int = 1, bias: bool = False) -> nn.Module:
    """A convolution that keeps the spatial size."""
    cls = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
    return cls(in_channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=bias)


def norm(spatial_dims: int, channels: int, kind: Norm) -> nn.Module:
    """Batch normalisation (the paper's), or instance normalisation for inputs whose contrast varies from case to case."""
    if kind == "batch":
        return (nn.BatchNorm2d if spatial_dims == 2 else nn.BatchNorm3d)(channels)
    return (nn.InstanceNorm2d if spatial_dims == 2 else nn.InstanceNorm3d)(channels, affine=True)


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of ``groups`` equal groups: (N, C, *S) -> (N, C, *S)."""
    grouped: Tensor = x.unflatten(1, (groups, -1))
    return grouped.transpose(1, 2).flatten(1, 2)


class MultiKernelDepthwiseConv(nn.Module):
    """MKDC: depth-wise convolutions of several kernel sizes side by side, each with norm and ReLU6, summed (section 3.1)."""

    def __init__(self, spatial_dims: int, channels: int, norm_kind: Norm) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                conv(spatial_dims, channels, channels, kernel_size, groups=channels),
                norm(spatial_dims, channels, norm_kind),
                nn.ReLU6(inplace=True),
            )
            for kernel_size in KERNEL_SIZES
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *S) -> (N, C, *S)."""
        cheap = self.training and x.device.type == "cpu"
        convolve = depthwise_conv2d if x.ndim == 4 else depthwise_conv3d
        outs: list[Tensor] = []
        for branch in self.branches:
            convolution, normalize, activate = branch.children()
            y = convolve(x, convolution.weight) if cheap else convolution(x)  # type: ignore[arg-type]
            outs.append(activate(normalize(y)))
        return reduce(operator.add, outs)


class MultiKernelInvertedResidual(nn.Module):
    """MKIR: expand, MKDC, shuffle, project, add the input (section 3.1).

    The residual passes a bias-free 1x1 convolution where the widths differ.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, norm_kind: Norm) -> None:
        super().__init__()
        hidden = in_channels * EXPANSION
        self.expand = nn.Sequential(
            conv(spatial_dims, in_channels, hidden, 1), norm(spatial_dims, hidden, norm_kind), nn.ReLU6(inplace=True)
        )
        self.depthwise = MultiKernelDepthwiseConv(spatial_dims, hidden, norm_kind)
        self.shuffle_groups = shuffle_groups(hidden, out_channels)
        self.project = nn.Sequential(conv(spatial_dims, hidden, out_channels, 1), norm(spatial_dims, out_channels, norm_kind))
        self.residual = nn.Identity() if in_channels == out_channels else conv(spatial_dims, in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *S) -> (N, out_channels, *S)."""
        y = self.depthwise(self.expand(x))
        if self.training and x.ndim == 4:
            # A shuffled tensor is no longer in channels-last layout, which makes the batch norms' backward pass thirty times slower.
            projection, normalize = self.project
            projected = normalize(F.conv2d(y, _unshuffled(projection.weight, self.shuffle_groups)))  # type: ignore[arg-type]
        else:
            projected = self.project(channel_shuffle(y, self.shuffle_groups))
        out: Tensor = self.residual(x) + projected
        return out


def _unshuffled(weight: Tensor, groups: int) -> Tensor:
    """The point-wise weights (O, C, 1, 1) that do to a tensor what `weight` does to it after `channel_shuffle`."""
    return channel_shuffle(weight, weight.shape[1] // groups)


class ChannelAttention(nn.Module):
    """The channel half of CMFA: weights from max- and average-pooled features through shared point-wise layers (section 3.2)."""

    def __init__(self, spatial_dims: int, channels: int, reduction: int) -> None:
        super().__init__()
        reduced = channels // min(reduction, channels)
        self.squeeze = conv(spatial_dims, channels, reduced, 1)
        self.excite = conv(spatial_dims, reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *S) -> (N, C, *S)."""
        axes = tuple(range(2, x.ndim))
        pooled = (x.mean(axes, keepdim=True), x.amax(axes, keepdim=True))
        average, maximum = (self.excite(torch.relu(self.squeeze(p))) for p in pooled)
        out: Tensor = x * torch.sigmoid(average + maximum)
        return out


class SpatialAttention(nn.Module):
    """The spatial half of CMFA: one large-kernel convolution on the channels' mean and maximum (section 3.2)."""

    def __init__(self, spatial_dims: int, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = conv(spatial_dims, 2, 1, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *S) -> (N, C, *S)."""
        statistics = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)
        out: Tensor = x * torch.sigmoid(self.conv(statistics))
        return out


class MultiKernelInvertedResidualAttention(nn.Module):
    """MKIRA: convolutional multi-focal attention (CMFA), then MKIR (section 3.2).

    CMFA is channel attention followed by spatial attention. The published network shares one spatial attention
    between all its stages, so the network owns it and hands it in.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, reduction: int, norm_kind: Norm) -> None:
        super().__init__()
        self.channel_attention = ChannelAttention(spatial_dims, in_channels, reduction)
        self.block = MultiKernelInvertedResidual(spatial_dims, in_channels, out_channels, norm_kind)

    def forward(self, x: Tensor, spatial_attention: SpatialAttention) -> Tensor:
        """(N, in_channels, *S) -> (N, out_channels, *S)."""
        out: Tensor = self.block(spatial_attention(self.channel_attention(x)))
        return out


class GroupedAttentionGate(nn.Module):
    """GAG: weigh a skip connection by grouped 3x3 convolutions of the gate and of the skip (section 3.3)."""

    def __init__(self, spatial_dims: int, channels: int, norm_kind: Norm) -> None:
        super().__init__()
        inner = channels // 2

        def branch() -> nn.Sequential:
            return nn.Sequential(conv(spatial_dims, channels, inner, 3, groups=inner, bias=True), norm(spatial_dims, inner, norm_kind))

        self.gate = branch()
        self.skip = branch()
        self.attend = nn.Sequential(conv(spatial_dims, inner, 1, 1, bias=True), norm(spatial_dims, 1, norm_kind))

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """Gate and skip (N, C, *S) -> the weighed skip (N, C, *S)."""
        return skip * torch.sigmoid(self.attend(torch.relu(self.gate(gate) + self.skip(skip))))
