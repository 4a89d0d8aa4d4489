"""An image in the light of another."""

from __future__ import annotations

import torch

from ultralightunet.models import Intensity


def shaded(dims: int, rule: Intensity, towards: int) -> torch.Tensor:
    """A fine texture, brighter towards one end of the first axis or the other, prepared by a rule."""
    size = (48,) * dims
    texture = 0.4 + 0.2 * torch.rand(1, *size, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(-1, 1, 48).reshape(1, -1, *(1,) * (dims - 1)).mul(towards).exp()
    unit = texture * ramp / 2
    if rule.rule == "percentile":
        return (unit - unit.mean()) / unit.std()
    return (unit.clamp(0, 1) - rule.mean[0]) / rule.std[0]
