"""`ultralight train`: the first model of a new task, from a folder of labelled images."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ..architecture import VARIANTS
from ..engines import DEVICES
from ..errors import InputError
from ..events import Version, finish
from .memory import add_max_memory
from .progress import ProgressLines, TrainingBar, write_json
from .retrain import interrupted


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "train",
        help="make a first model from labelled images",
        description="Make a model of a folder of labelled images: a raw dataset of nnU-Net (a store of corrections is one), or the folders "
        "images and masks whose files have the same base names. Spacing, window, classes, grey values and width are chosen from the data "
        "unless they are given. A model that can be used is there within half a minute of learning, and better ones follow; Ctrl+C keeps "
        "the best so far. A training that was interrupted goes on when the same command is given again. For several GPUs: "
        "torchrun --nproc-per-node N -m ultralightunet train ... --steps S",
    )
    command.add_argument("dataset", type=Path, metavar="DATASET")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the new model folder")
    command.add_argument(
        "--init",
        default="",
        metavar="NAME|DIR",
        help='a model whose weights to start from where they fit, or "none" (default: some steps from each of several choose)',
    )
    command.add_argument("--classes", default="", metavar="A,B", help="names of classes 1, 2, ... of a folder without dataset.json")
    command.add_argument(
        "--minutes",
        type=float,
        default=20.0,
        metavar="M",
        help="of training, with pauses not counted (default: 20); less if it no longer gains",
    )
    command.add_argument(
        "--steps", type=int, default=0, metavar="N", help="of training, in place of minutes: the same weights in every run"
    )
    command.add_argument("--variant", choices=tuple(VARIANTS), default="", help="width of the network (default: S in 3D, B in 2D)")
    command.add_argument("--channels", type=_numbers(int, 5), default=(), metavar="A,B,C,D,E", help="widths of its five stages")
    command.add_argument("--norm", choices=("batch", "instance"), help="default: instance for few cases, else batch")
    command.add_argument(
        "--spacing", type=_numbers(float, 2, 3), default=(), metavar="I,J[,K]", help="mm of the network's grid, as in the file"
    )
    command.add_argument("--size", type=_numbers(int, 2), metavar="H,W", help="pixels that pictures are resized to")
    command.add_argument("--window", type=_numbers(int, 2, 3), default=(), metavar="I,J[,K]", help="voxels of a window, multiples of 32")
    command.add_argument("--intensity", choices=("percentile", "window", "scale"), default="", help="rule for grey values")
    command.add_argument("--batch-size", type=int, default=0, metavar="N", help="samples of a step")
    command.add_argument("--learning-rate", type=float, default=2e-3, metavar="R")
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="threads that prepare samples; several for a GPU")
    command.add_argument("--device", choices=DEVICES, default="auto", help="default: a GPU where there is one")
    command.add_argument("--seed", type=int, default=0, metavar="S")
    command.add_argument("--name", default="", help="of the model (default: the folder's name)")
    command.add_argument("--title", default="", help="what it segments, one line")
    command.add_argument("--modality", default="", help="e.g. MR, CT, US (default: the first channel's name)")
    command.add_argument("--licence", default="unknown", help="of the weights")
    command.add_argument("--install", action="store_true", help="also install it, so that napari and --model find it by name")
    add_max_memory(command)
    command.add_argument("--json", action="store_true", help="progress and result as one JSON object a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, with a bar; of several processes only the first one speaks."""
    from ..models import install_model
    from ..new_task import Wishes, training

    for name in ("threads", "workers", "minutes", "learning_rate"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise InputError(f"expected --{name.replace('_', '-')} above 0, found {value}; leave it out for the default")
    if min(options.steps, options.batch_size) < 0:
        raise InputError("expected --steps and --batch-size above 0, found a negative number; leave them out for the default")
    signal.signal(signal.SIGTERM, interrupted)
    wishes = Wishes(
        name=options.name,
        title=options.title,
        modality=options.modality,
        licence=options.licence,
        variant=options.variant,
        channels=options.channels,
        norm=options.norm,
        # The command line counts axes as files do, i first.
        spacing=options.spacing[::-1],
        size=options.size,
        window=options.window[::-1],
        intensity=options.intensity,
        init=options.init,
        minutes=options.minutes,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        threads=options.threads,
        device=options.device,
        workers=options.workers,
        seed=options.seed,
    )
    names = tuple(text.strip() for text in options.classes.split(",") if text.strip())
    is_leader = int(os.environ.get("RANK", 0)) == 0
    show: Any = None if not is_leader else ProgressLines() if options.json else TrainingBar(options.output.name)
    kept = BestSoFar(show)
    if not options.steps:
        signal.signal(signal.SIGINT, kept.interrupted)
    try:
        model = finish(training(options.dataset, options.output, wishes, classes=names, stop=kept.is_wanted), kept)
    finally:
        if show is not None:
            show.close()
    if not is_leader:
        return 0
    if options.install:
        model = install_model(model.folder)
    if options.json:
        write_json(event="result", model=model.id, folder=str(model.folder), scores=dict(model.scores))
        return 0
    network = model.architecture
    grid = f"{' x '.join(f'{v:g}' for v in model.spacing[::-1])} mm" if model.spacing else f"{model.size} pixels"
    sys.stdout.write(
        f"{model.id} in {model.folder}\n    {network.spatial_dims}D, widths {list(network.channels)}, at {grid}; "
        f"{', '.join(entry.name for entry in model.classes[1:])}\n    scores: {dict(model.scores) or 'none, every case trained'}\n"
    )
    return 0


class BestSoFar:
    """Hands events on, and takes Ctrl+C, once there is a version, for the wish to keep the best; before that, and again, it cancels.

    Args:
        show: takes the events; None shows none.
    """

    def __init__(self, show: Any) -> None:
        self._show = show
        self._versions = 0
        self._wanted = False

    def __call__(self, event: Any) -> None:
        """Take an event."""
        self._versions += isinstance(event, Version)
        if self._show is not None:
            self._show(event)

    def is_wanted(self) -> bool:
        """Whether the training is to end with what it has."""
        return self._wanted

    def interrupted(self, number: int, frame: Any) -> None:
        """Handle the signal of Ctrl+C."""
        if self._wanted or not self._versions:
            raise KeyboardInterrupt
        self._wanted = True


def _numbers(kind: Any, *counts: int) -> Any:
    def parse(text: str) -> tuple[Any, ...]:
        try:
            found = tuple(kind(part) for part in text.replace("x", ",").split(","))
        except ValueError:
            found = ()
        if len(found) not in counts or min(found) <= 0:
            raise argparse.ArgumentTypeError(f"expected {' or '.join(map(str, counts))} numbers above 0 between commas, found {text!r}")
        return found

    return parse
