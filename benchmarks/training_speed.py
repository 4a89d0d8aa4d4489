"""How long a training step takes, against eager PyTorch in its default layout: `python benchmarks/training_speed.py`.

The same weights, data and loss on both sides. "Default" is the network written down plainly (each depth-wise branch a convolution module,
channels shuffled), contiguous tensors and the usual memory allocator. "Ours" is what the recipes run: channels-last layout, kernels that
are compiled where there is a C++ compiler (else the cheap backward pass of the depth-wise convolutions), freed memory kept. The two take
turns.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from types import MethodType

from measuring import options, report  # isort: skip - puts the repository on the path
import torch
from results import table
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))
from fused import fuse
from memory import keep_freed_memory

from ultralightunet.learning.losses import boundary_weighted_bce_iou, dice_cross_entropy
from ultralightunet.networks import UltraLightUNet
from ultralightunet.networks.blocks import MultiKernelDepthwiseConv, MultiKernelInvertedResidual, channel_shuffle


@dataclass(frozen=True)
class Case:
    """One network and its batch."""

    name: str
    spatial_dims: int
    variant: str
    channels: int
    classes: int
    shape: tuple[int, ...]
    loss: Callable[[Tensor, Tensor], Tensor]
    wanted: float


CASES = (
    Case("3D S, 2 x 64x64x64", 3, "S", 1, 2, (2, 64, 64, 64), dice_cross_entropy, 3.0),
    Case("2D B, 8 x 256x256", 2, "B", 3, 1, (8, 256, 256), boundary_weighted_bce_iou, 7.0),
)


def plain(network: nn.Module) -> nn.Module:
    """The same network with every block written down as in the paper, in contiguous layout."""

    def branches(self: MultiKernelDepthwiseConv, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self.branches)

    def block(self: MultiKernelInvertedResidual, x: Tensor) -> Tensor:
        return self.residual(x) + self.project(channel_shuffle(self.depthwise(self.expand(x)), self.shuffle_groups))

    copy = deepcopy(network).to(memory_format=torch.contiguous_format)
    for module in copy.modules():
        if isinstance(module, MultiKernelDepthwiseConv):
            module.forward = MethodType(branches, module)
        elif isinstance(module, MultiKernelInvertedResidual):
            module.forward = MethodType(block, module)
    return copy


def stepper(network: nn.Module, images: Tensor, target: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], float]:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        value = loss(network(images), target)
        value.backward()
        optimizer.step()
        return float(value.detach())

    return step


def seconds(step: Callable[[], float]) -> tuple[float, float]:
    """Wall-clock and processor seconds of a step."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(case: Case, repeats: int) -> tuple[list[object], float]:
    """A row of the table, and how far apart the first losses are."""
    torch.manual_seed(0)
    batch, *size = case.shape
    layout = torch.channels_last if case.spatial_dims == 2 else torch.channels_last_3d
    network = UltraLightUNet(
        spatial_dims=case.spatial_dims, in_channels=case.channels, out_channels=case.classes, variant=case.variant
    ).train()
    images, target = torch.randn(batch, case.channels, *size), (torch.rand(batch, *size) > 0.8).to(torch.uint8)
    default, ours = plain(network), network.to(memory_format=layout)
    fuse(ours)
    steps = {
        False: stepper(default, images, target, case.loss),
        True: stepper(ours, images.contiguous(memory_format=layout), target, case.loss),
    }
    first, times = {}, {False: [], True: []}
    for number in range(repeats + 1):
        for ours, step in steps.items():
            keep_freed_memory(ours)
            if number == 0:
                first[ours] = step()
            else:
                times[ours].append(seconds(step))
    wall, cpu = ([statistics.median(found[kind] for found in times[ours]) for ours in (False, True)] for kind in (0, 1))
    row = [case.name, f"{wall[0]:.2f}", f"{wall[1]:.2f}", f"{wall[0] / wall[1]:.1f}", f"{cpu[0]:.2f}", f"{cpu[1]:.2f}"]
    return [*row, f"{cpu[0] / cpu[1]:.1f}", f"{case.wanted:g}"], abs(first[True] - first[False])


def main() -> None:
    found = options(__doc__ or "")
    torch.set_num_threads(found.threads)
    cases = [replace(case, shape=(1, *(64 for _ in case.shape[1:]))) for case in CASES] if found.quick else CASES
    rows, apart = zip(*(measure(case, found.repeats) for case in cases), strict=True)
    head = ("network and batch", "default, s", "ours, s", "ratio", "default, CPU s", "ours, CPU s", "CPU ratio", "wanted ratio")
    text = (
        f"A training step, forward, backward and optimiser; medians of {found.repeats} steps that took turns.\n\n{table(head, rows)}\n\n"
        f"First losses of the two sides differ by at most {max(apart):.1g}."
    )
    report("Training speed", text, found, f"PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
