"""What the recipes share: arguments, the log, the learning curve, and how a checkpoint came to be."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import torch
from fused import fuse
from memory import keep_freed_memory
from torch import Tensor, nn
from widening import twice_as_wide

from ultralightunet.learning.training import Plan, Sample, fit
from ultralightunet.models import read_model
from ultralightunet.networks import UltraLightUNet

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parent.parent
CHECKPOINT, ORIGIN = "checkpoint.pt", "origin.json"
"""Files of an output folder: the training's state, and what it began with."""


def arguments(description: str, *, name: str, steps: int, variant: str) -> argparse.ArgumentParser:
    """Options that every recipe has; starts the log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--output", type=Path, required=True, help="folder for the checkpoint, the log and the learning curve")
    parser.add_argument("--steps", type=int, default=steps, help="optimiser steps in all")
    parser.add_argument(
        "--hours", type=float, default=0.0, help="end after so much time where that comes first; the learning rate falls with it"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the network")
    parser.add_argument("--workers", type=int, default=1, help="threads that prepare samples ahead; several for a GPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variant", default=variant, help="width of the network")
    parser.add_argument("--learning-rate", type=float, help="at its peak, in place of the recipe's own")
    parser.add_argument(
        "--init", type=Path, help="a model folder whose weights to start from, where name and shape agree; one half as wide is widened"
    )
    parser.add_argument("--export", type=Path, default=ROOT / "ultralightunet" / "shipped" / name, help="the model folder")
    parser.add_argument("--train-only", action="store_true", help="write no model folder, on a machine without OpenVINO say")
    parser.add_argument("--export-only", action="store_true", help="write the model folder from the last checkpoint, as it is")
    return parser


def train(
    options: argparse.Namespace,
    *,
    network: UltraLightUNet,
    sample: Callable[[int], Sample],
    loss: Callable[[Tensor, Tensor], Tensor],
    plan: Plan,
    validate: Callable[[nn.Module], dict[str, float]],
    samples: str,
) -> None:
    """Train to the end, from the last checkpoint where there is one; log each stretch and draw the curve anew.

    `samples` says what a batch is of, for `history`.
    """
    torch.set_num_threads(options.threads)
    start = start_from(network, options.init) if options.init else ""
    if options.learning_rate:
        plan = replace(plan, learning_rate=options.learning_rate)
    if options.hours:
        plan = replace(plan, seconds=3600 * options.hours)
    keep_freed_memory()
    if options.device == "cpu":
        fuse(network)
    options.output.mkdir(parents=True, exist_ok=True)
    log = options.output / "log.jsonl"
    checkpoint = options.output / CHECKPOINT
    origin = options.output / ORIGIN
    # A training that goes on began where it began, whatever is said now.
    if not checkpoint.exists() or not origin.exists():
        origin.write_text(json.dumps({"samples": samples, "start": start}), encoding="utf-8")
    work = fit(network, sample, loss, plan, checkpoint=checkpoint, validate=validate, device=options.device, workers=options.workers)
    for event in work:
        scores = {name: round(value, 4) for name, value in event.scores.items()}
        logging.info("step %d of %d, loss %.4f, %s, %.0f s", event.step, event.steps, event.loss, scores, event.seconds)
        with log.open("a") as file:
            file.write(json.dumps({"step": event.step, "loss": round(event.loss, 4), **scores, "seconds": round(event.seconds, 1)}) + "\n")
        draw_curve(log, options.output / "curve.png")


def start_from(network: UltraLightUNet, folder: Path) -> str:
    """Give `network` the weights of a model folder; those of another shape (a head for other classes) stay as they are.

    A model that is half as wide is widened first (see `widening.py`). Returns what the network now starts from.
    """
    own, model = network.state_dict(), read_model(folder)
    given = {name: torch.from_numpy(value).float() for name, value in model.weights().items()}
    widened = [2 * width for width in model.architecture.channels] == list(network.architecture.channels)
    if widened:
        given = twice_as_wide(given, model.architecture)
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise SystemExit(f"expected a model with weights like those of this network, found none in {folder}; choose another for --init")
    logging.info("%d of %d weights start from %s", len(fitting), len(own), folder)
    network.load_state_dict({**own, **fitting})
    history = model.metadata.get("changelog", {}).get(model.version, "made otherwise")
    return f"{model.name} {model.version}{', made twice as wide' if widened else ''} ({history})"


def trained_steps(output: Path) -> int:
    """Steps behind the last checkpoint of an output folder."""
    return int(torch.load(output / CHECKPOINT, map_location="cpu", weights_only=True)["step"])


def history(output: Path) -> str:
    """How the checkpoint of an output folder came to be, back to the beginning."""
    state = torch.load(output / CHECKPOINT, map_location="cpu", weights_only=True)
    origin = json.loads((output / ORIGIN).read_text(encoding="utf-8"))
    batch, rate = state["plan"]["batch_size"], state["plan"]["learning_rate"]
    start = f", from the weights of {origin['start']}" if origin["start"] else ""
    return f"{state['step']} steps of {batch} {origin['samples']} at a learning rate of {rate:g}{start}"


def draw_curve(log: Path, picture: Path) -> None:
    """The learning curve of a log, loss on the left, scores on the right."""
    lines = {line["step"]: line for line in map(json.loads, log.read_text().splitlines())}
    steps = sorted(lines)
    figure, left = plt.subplots(figsize=(7, 4), layout="constrained")
    left.plot(steps, [lines[s]["loss"] for s in steps], color="0.5", label="training loss")
    left.set(xlabel="step", ylabel="training loss")
    right = left.twinx()
    for name in sorted(set(lines[steps[-1]]) - {"step", "loss", "seconds"}):
        right.plot(steps, [lines[s].get(name) for s in steps], label=name)
    right.set(ylabel="validation Dice", ylim=(0, 1))
    if right.lines:
        right.legend(loc="lower right")
    figure.savefig(picture, dpi=100)
    plt.close(figure)
