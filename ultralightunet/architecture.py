"""What defines an UltraLightUNet, free of torch: both engines and the model folder read it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Norm = Literal["batch", "instance"]

VARIANTS: dict[str, tuple[int, int, int, int, int]] = {
    "T": (4, 8, 16, 24, 32),
    "S": (8, 16, 32, 48, 80),
    "B": (16, 32, 64, 96, 160),
    "M": (32, 64, 128, 192, 320),
    "L": (64, 128, 256, 384, 512),
}
"""Widths of the five stages by the paper's names (T tiny, S small, B base, M medium, L large)."""

STRIDE = 32
"""Five halvings: every side of the network's input is a multiple of this."""

EXPANSION = 2
"""Hidden channels of an inverted residual block for each of its input channels."""

KERNEL_SIZES = (1, 3, 5)
"""Sides of the parallel depth-wise kernels."""

ATTENTION_REDUCTION = (16, 16, 16, 8, 4)
"""By how much channel attention squeezes in the five decoder stages, at most to one channel."""

NORM_EPSILON = 1e-5
"""Added to the variance by every normalisation."""


@dataclass(frozen=True)
class Architecture:
    """The arguments of one `UltraLightUNet`."""

    spatial_dims: int
    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    norm: Norm = "batch"

    def to_dict(self) -> dict[str, Any]:
        """Keyword arguments of `UltraLightUNet`, JSON-serialisable."""
        return {**asdict(self), "channels": list(self.channels)}

    @property
    def stages(self) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """Widths (in, out) of the five encoder stages and of the five decoder stages."""
        widths, back = self.channels, self.channels[::-1]
        return tuple(zip((self.in_channels, *widths[:-1]), widths, strict=True)), tuple(zip(back, (*back[1:], widths[0]), strict=True))

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight in a model file, as in `UltraLightUNet.state_dict()` less the batch counters."""
        return dict(self._parameters())

    def _parameters(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        encoder, decoder = self.stages
        for number, (width_in, width_out) in enumerate(encoder):
            yield from self._block(f"encoder.{number}", width_in, width_out)
        for number, ((width_in, width_out), reduction) in enumerate(zip(decoder, ATTENTION_REDUCTION, strict=True)):
            reduced = width_in // min(reduction, width_in)
            attention = f"decoder.{number}.channel_attention"
            yield f"{attention}.squeeze.weight", self._kernel(reduced, width_in, 1)
            yield f"{attention}.excite.weight", self._kernel(width_in, reduced, 1)
            yield from self._block(f"decoder.{number}.block", width_in, width_out)
        yield "spatial_attention.conv.weight", self._kernel(1, 2, 7)
        for number, width in enumerate(self.channels[-2::-1]):
            inner = width // 2
            for branch in ("gate", "skip"):
                yield f"gates.{number}.{branch}.0.weight", self._kernel(inner, width // inner, 3)
                yield f"gates.{number}.{branch}.0.bias", (inner,)
                yield from self._norm(f"gates.{number}.{branch}.1", inner)
            yield f"gates.{number}.attend.0.weight", self._kernel(1, inner, 1)
            yield f"gates.{number}.attend.0.bias", (1,)
            yield from self._norm(f"gates.{number}.attend.1", 1)
        yield "head.weight", self._kernel(self.out_channels, self.channels[0], 1)
        yield "head.bias", (self.out_channels,)

    def _block(self, name: str, width_in: int, width_out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        hidden = width_in * EXPANSION
        yield f"{name}.expand.0.weight", self._kernel(hidden, width_in, 1)
        yield from self._norm(f"{name}.expand.1", hidden)
        for branch, size in enumerate(KERNEL_SIZES):
            yield f"{name}.depthwise.branches.{branch}.0.weight", self._kernel(hidden, 1, size)
            yield from self._norm(f"{name}.depthwise.branches.{branch}.1", hidden)
        yield f"{name}.project.0.weight", self._kernel(width_out, hidden, 1)
        yield from self._norm(f"{name}.project.1", width_out)
        if width_in != width_out:
            yield f"{name}.residual.weight", self._kernel(width_out, width_in, 1)

    def _norm(self, name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (width,)
        yield f"{name}.bias", (width,)
        if self.norm == "batch":
            yield f"{name}.running_mean", (width,)
            yield f"{name}.running_var", (width,)

    def _kernel(self, width_out: int, width_in: int, size: int) -> tuple[int, ...]:
        return (width_out, width_in, *(size,) * self.spatial_dims)


def shuffle_groups(hidden: int, width_out: int) -> int:
    """Groups of the channel shuffle between a block's hidden and output channels."""
    return math.gcd(hidden, width_out)
