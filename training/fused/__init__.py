"""Trains UltraLightUNet faster on a CPU, where a C++ compiler is at hand: `fuse(network)`.

Memory traffic is what a training step waits for. The kernels compute in few passes, forward and backward: the three depth-wise branches,
their norms, clamps and sum, and each norm behind a point-wise convolution (`blocks`); the attention of the decoder (`attention`); and its
steps to twice the size (`upsampling`). The results are those of the network's own modules up to rounding. Nothing of this is needed to use
a network that was trained so: its parameters are the same.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from types import MethodType
from typing import Any

from torch import nn

from ultralightunet.networks import UltraLightUNet
from ultralightunet.networks.blocks import (
    MultiKernelDepthwiseConv,
    MultiKernelInvertedResidual,
    MultiKernelInvertedResidualAttention,
)

from . import attention, blocks, upsampling
from .library import compiled

FORWARD: tuple[tuple[type[nn.Module], Callable[..., Any]], ...] = (
    (MultiKernelInvertedResidual, blocks.block),
    (MultiKernelDepthwiseConv, blocks.branches),
    (MultiKernelInvertedResidualAttention, attention.attended_block),
)
"""What modules compute in place of their own `forward`."""


def fuse(network: nn.Module) -> bool:
    """Let `network` train through the kernels; in evaluation and on other devices it goes on as before.

    Returns:
        Whether it was possible: it takes a C++ compiler.
    """
    try:
        compiled()
    except (OSError, subprocess.SubprocessError) as error:
        logging.info("training without the fused kernels: %s", error)
        return False
    for module in network.modules():
        for kind, forward in FORWARD:
            if isinstance(module, kind):
                module.forward = MethodType(forward, module)
        if isinstance(module, UltraLightUNet):
            module._up = MethodType(upsampling.up, module)  # type: ignore[method-assign]
        if isinstance(module, nn.Conv2d | nn.Conv3d) and blocks.is_pointwise(module):
            module.forward = MethodType(blocks.point, module)
    return True
