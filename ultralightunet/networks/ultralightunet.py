"""UltraLightUNet for 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..architecture import ATTENTION_REDUCTION, STRIDE, VARIANTS, Architecture, Norm
from .blocks import (
    GroupedAttentionGate,
    MultiKernelInvertedResidual,
    MultiKernelInvertedResidualAttention,
    SpatialAttention,
    conv,
)


class UltraLightUNet(nn.Module):
    """A U-shaped network of five multi-kernel encoder and five attentive decoder stages.

    Source: MK-UNet (ICCV Workshops 2025), section 3 and figure 2. The 3D network is a straight port of the 2D one: the authors
    report 3D results (3D-M: 1.42 M parameters, 7.1 GFLOPs) but published no 3D code; the port has 1.44 M and, as ptflops counts, 6.4 G at
    1x96x96x96.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input image, at least 1.
        out_channels: 1 (use a sigmoid) or the number of classes with background (use a softmax).
        variant: a named width: "T", "S", "B", "M" or "L"; ignored where `channels` is given.
        channels: widths of the five stages in place of a named variant.
        norm: "batch" as published, or "instance" where the images' contrast varies at random: there batch statistics
            gathered in training do not describe a single new image.

    Example:
        >>> import torch
        >>> import ultralightunet as ulu
        >>> network = ulu.UltraLightUNet(spatial_dims=3, in_channels=1, out_channels=4, variant="T").eval()
        >>> network(torch.zeros(1, 1, 32, 48, 40)).shape
        torch.Size([1, 4, 32, 48, 40])
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        variant: str = "B",
        channels: Sequence[int] | None = None,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims must be 2 or 3, not {spatial_dims}")
        if channels is None and variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")
        widths = tuple(VARIANTS[variant] if channels is None else channels)
        if len(widths) != 5 or min(widths) < 2:
            raise ValueError(f"channels must be five widths of at least 2, not {widths}")
        self.spatial_dims = spatial_dims
        self.in_channels = in_channels
        self.architecture = Architecture(spatial_dims, in_channels, out_channels, widths, norm)
        encoder, decoder = self.architecture.stages
        self.encoder = nn.ModuleList(MultiKernelInvertedResidual(spatial_dims, i, o, norm) for i, o in encoder)
        self.decoder = nn.ModuleList(
            MultiKernelInvertedResidualAttention(spatial_dims, i, o, reduction, norm)
            for (i, o), reduction in zip(decoder, ATTENTION_REDUCTION, strict=True)
        )
        self.spatial_attention = SpatialAttention(spatial_dims)
        self.gates = nn.ModuleList(GroupedAttentionGate(spatial_dims, width, norm) for width in widths[-2::-1])
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.head = conv(spatial_dims, widths[0], out_channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Image (N, in_channels, *S) of any size -> logits (N, out_channels, *S)."""
        if x.ndim != self.spatial_dims + 2 or x.shape[1] != self.in_channels:
            axes = "(N, C, H, W)" if self.spatial_dims == 2 else "(N, C, D, H, W)"
            raise ValueError(f"expected an input {axes} with C = {self.in_channels}, found {tuple(x.shape)}")
        size = x.shape[2:]
        missing = [-side % STRIDE for side in size]
        if any(missing):
            x = F.pad(x, [amount for m in reversed(missing) for amount in (m // 2, m - m // 2)], mode="replicate")
        pool = F.max_pool2d if self.spatial_dims == 2 else F.max_pool3d
        skips = []
        for stage in self.encoder:
            x = pool(stage(x), 2)
            skips.append(x)
        skips.pop()
        for stage, gate in zip(self.decoder[:-1], self.gates, strict=True):
            x = self._up(stage(x, self.spatial_attention))
            x = x + gate(x, skips.pop())
        x = self.head(self._up(self.decoder[-1](x, self.spatial_attention)))
        if any(missing):
            for axis, (m, side) in enumerate(zip(missing, size, strict=True), start=2):
                x = x.narrow(axis, m // 2, side)
        return x

    def _up(self, x: Tensor) -> Tensor:
        mode = "bilinear" if self.spatial_dims == 2 else "trilinear"
        return torch.relu(F.interpolate(x, scale_factor=2, mode=mode, align_corners=False))
