"""The networks that UltraLightUNet is compared with, built from MONAI, and how each is run."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402
from monai.networks import nets  # noqa: E402

PEERS_3D = ("UNet", "AttentionUnet", "SegResNet", "DynUNet", "SwinUNETR")
PEERS_2D = ("UNet", "AttentionUnet")

Run = Callable[[], object]


def peer(name: str, *, spatial_dims: int = 3, in_channels: int = 1, out_channels: int = 4, levels: int = 6) -> nn.Module:
    """One of MONAI's networks in a usual size.

    Args:
        name: see `PEERS_3D`.
        spatial_dims: 2 or 3.
        in_channels: of the image.
        out_channels: classes.
        levels: of DynUNet; fewer for small crops, as nnU-Net plans it.

    Raises:
        ValueError: for another name.
    """
    widths = (32, 64, 128, 256, 320, 320)[:levels]
    channels, strides = (16, 32, 64, 128, 256), (2, 2, 2, 2)
    if name == "UNet":
        return nets.UNet(spatial_dims, in_channels, out_channels, channels, strides, num_res_units=2)
    if name == "AttentionUnet":
        return nets.AttentionUnet(spatial_dims, in_channels, out_channels, channels, strides)
    if name == "SegResNet":
        return nets.SegResNet(spatial_dims, init_filters=16, in_channels=in_channels, out_channels=out_channels)
    if name == "DynUNet":
        steps = [1, *[2] * (levels - 1)]
        return nets.DynUNet(spatial_dims, in_channels, out_channels, [3] * levels, steps, steps[1:], filters=widths)
    if name != "SwinUNETR":
        raise ValueError(f"expected one of {', '.join(PEERS_3D)}, found {name!r}")
    return nets.SwinUNETR(in_channels, out_channels, feature_size=48, spatial_dims=spatial_dims)


def parameters(network: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in network.parameters()) / 1e6


def eager(network: nn.Module, shape: Sequence[int]) -> Run:
    """The network in eager PyTorch, in the memory format that is the faster of the two."""
    fast = torch.channels_last_3d if len(shape) == 5 else torch.channels_last
    runs = [_eager(network, shape, layout) for layout in (torch.contiguous_format, fast)]
    return min(runs, key=_seconds)


def _eager(network: nn.Module, shape: Sequence[int], layout: torch.memory_format) -> Run:
    image = torch.zeros(*shape).normal_(generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)

    def run() -> Tensor:
        network.to(memory_format=layout)  # type: ignore[call-overload]
        with torch.inference_mode():
            return network(image)

    return run


def _seconds(run: Run) -> float:
    run()
    began = time.process_time()
    run()
    return time.process_time() - began


def in_openvino(network: nn.Module, shape: Sequence[int], threads: int) -> Run | str:
    """The network as OpenVINO converts it, in single precision; why not, where it cannot."""
    image = torch.zeros(*shape).normal_(generator=torch.Generator().manual_seed(0))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = ov.convert_model(network, example_input=image)
        graph.reshape(list(shape))
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        request = ov.Core().compile_model(graph, "CPU", settings).create_infer_request()
    except (RuntimeError, ov.frontend.OpConversionFailure) as error:
        return str(error).splitlines()[0][:80]
    values = np.ascontiguousarray(image)
    return lambda: request.infer([values])
