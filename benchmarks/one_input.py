"""One input through UltraLightUNet and its peers, side by side; `patch.py` and `slice.py` say which."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from measuring import report, take_turns
from peers import eager, in_openvino, parameters, peer
from results import table

from tests.small_models import small_model
from ultralightunet.engines import make_engine
from ultralightunet.networks import UltraLightUNet

OURS = "UltraLightUNet, this project"


def compare(
    title: str,
    shape: Sequence[int],
    variant: str,
    classes: int,
    peers: Sequence[str],
    wanted: dict[str, str],
    found: argparse.Namespace,
    **settings: Any,
) -> None:
    """Time every network on one input and write the table.

    Args:
        title: of the section.
        shape: (N, C, *S).
        variant: width of UltraLightUNet.
        classes: of the labels, 2 for a sigmoid.
        peers: names of MONAI's networks.
        wanted: by row of the table, what is asked of it.
        found: the options.
        **settings: further ones of the peers.
    """
    torch.set_num_threads(found.threads)
    torch.manual_seed(0)
    dims, outputs = len(shape) - 2, 1 if classes == 2 else classes
    with tempfile.TemporaryDirectory() as folder:
        model = small_model(Path(folder) / "model", spatial_dims=dims, in_channels=shape[1], classes=classes, variant=variant)
        engine = make_engine(model, threads=found.threads)
        batch = np.random.default_rng(0).normal(size=tuple(shape)).astype(np.float32)
        work: dict[str, Callable[[], Any]] = {OURS: lambda: engine(batch)}
        network = UltraLightUNet(**model.architecture.to_dict()).eval()
        sizes = {OURS: parameters(network)}
        notes = []
        others = {"UltraLightUNet": network}
        others |= {n: peer(n, spatial_dims=dims, in_channels=shape[1], out_channels=outputs, **settings).eval() for n in peers}
        for name, other in others.items():
            sizes[f"{name}, eager PyTorch"] = sizes[f"{name}, OpenVINO"] = parameters(other)
            converted = in_openvino(other, shape, found.threads)
            if isinstance(converted, str):
                notes.append(f"{name} does not convert to OpenVINO: {converted}")
            else:
                work[f"{name}, OpenVINO"] = converted
            work[f"{name}, eager PyTorch"] = eager(other, shape)
        times = take_turns(work, found.repeats)
    ours = times[OURS]
    rows = [
        (
            name,
            f"{sizes[name]:.2f}",
            f"{1000 * t.median:.1f}",
            f"{t.median / ours.median:.1f}",
            f"{1000 * t.cpu_median:.1f}",
            f"{t.cpu_median / ours.cpu_median:.1f}",
            wanted.get(name, ""),
        )
        for name, t in sorted(times.items(), key=lambda item: item[1].median)
    ]
    head = ("network", "M parameters", "ms", "times ours", "CPU ms", "times ours, CPU", "wanted")
    text = [
        f"Input {'x'.join(map(str, shape))}, width {variant}, medians of {found.repeats} runs that took turns. Eager PyTorch is in the "
        "faster of its two memory formats. On a busy machine the processor's time says more than the clock's.",
        table(head, rows),
        *notes,
    ]
    report(title, "\n\n".join(text), found, f"PyTorch {torch.__version__}, MONAI {monai.__version__}, Python {sys.version.split()[0]}")
