"""The options that say how a network is run, the same for every command that labels images."""

from __future__ import annotations

import argparse

from ..engines import DEVICES, ENGINES

AXES = {"i": 2, "j": 1, "k": 0, "0": 2, "1": 1, "2": 0}
"""The command line counts axes as the file does, i first; arrays are (k, j, i)."""


def add_engine(command: argparse.ArgumentParser) -> None:
    """Add `--model`, `--engine`, `--device`, `--threads`, `--axis`, `--volume-index`, `--nan-fill` and `--step`."""
    command.add_argument("--model", default="brain", metavar="NAME|DIR", help="NAME, NAME@VERSION or a model folder (default: brain)")
    command.add_argument("--engine", choices=ENGINES, default="auto", help="what runs the network (default: openvino on a CPU)")
    command.add_argument("--device", choices=DEVICES, default="auto", help="default: cpu")
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    command.add_argument("--axis", choices=tuple(AXES), metavar="A", help="2D model on a volume: slices across i, j or k (or 0, 1, 2)")
    command.add_argument("--volume-index", type=int, metavar="N", help="which volume of a time series, counted from 0")
    command.add_argument("--nan-fill", type=float, metavar="V", help="replace NaN and infinite voxels by this value")
    command.add_argument(
        "--step", type=float, default=0.5, metavar="S", help="distance of sliding windows as a share of them (default: 0.5)"
    )
