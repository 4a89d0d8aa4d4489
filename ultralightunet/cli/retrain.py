"""`ultralight retrain`: a model goes on learning from corrections."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..events import finish
from ..models import LabelClass
from .memory import add_max_memory
from .progress import ProgressLines, TrainingBar, write_json


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "retrain",
        help="let a model learn from corrections",
        description="Train a model further on the corrections of a store, and compare the new version with the old one. The new one is "
        "used from then on only if it is not worse on held-out cases and on the labelled images that the model brings along; no version "
        "is ever changed or deleted. `ultralight models use NAME@VERSION` goes back to any.",
    )
    command.add_argument("store", type=Path, metavar="STORE")
    command.add_argument("--model", required=True, metavar="NAME[@VERSION]|DIR", help="to start from")
    command.add_argument("--minutes", type=float, default=2.5, metavar="M", help="of training (default: 2.5)")
    command.add_argument("--steps", type=int, default=0, metavar="N", help="of training, in place of minutes")
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random (default: 0)")
    command.add_argument("--accept", action="store_true", help="use the new version even if there are too few cases to decide")
    command.add_argument(
        "--new-class",
        type=_new_class,
        action="append",
        default=[],
        metavar="NAME[:#rrggbb]",
        help="add a class to the model; may be repeated",
    )
    command.add_argument(
        "--images",
        type=Path,
        nargs="+",
        default=[],
        metavar="IMAGE|DIR",
        help="images without labels of the kind that the model is for: they keep its old skill, and show whether it was kept",
    )
    add_max_memory(command)
    command.add_argument("--json", action="store_true", help="progress and result as one JSON object a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Retrain, with a bar, and say what came of it."""
    from ..corrections import Store
    from ..errors import InputError
    from ..retraining import Retraining, retraining

    if options.threads is not None and options.threads < 1:
        raise InputError(f"expected at least one thread, found {options.threads}; leave the number out to use all")
    # Whoever ends this process kindly gives it time to tidy up.
    signal.signal(signal.SIGTERM, interrupted)
    request = Retraining(
        minutes=options.minutes,
        steps=options.steps,
        threads=options.threads,
        seed=options.seed,
        new_classes=tuple(options.new_class),
        images=tuple(options.images),
        accept=options.accept,
    )
    show: Any = ProgressLines() if options.json else TrainingBar(options.model)
    try:
        outcome = finish(retraining(Store(options.store), options.model, request), show)
    finally:
        show.close()
    if options.json:
        write_json(
            event="result",
            model=outcome.model.id,
            folder=str(outcome.model.folder),
            parent=outcome.parent,
            decision=outcome.decision,
            sentence=outcome.sentence,
            holdout=asdict(outcome.holdout) if outcome.holdout else None,
            estimate=asdict(outcome.estimate) if outcome.estimate else None,
            exemplars=asdict(outcome.exemplars) if outcome.exemplars else None,
            drift=asdict(outcome.drift) if outcome.drift else None,
            cases=list(outcome.cases),
            seconds=round(outcome.seconds, 2),
        )
        return 0
    sys.stdout.write(f"{outcome.model.id} in {outcome.model.folder}\n    {outcome.sentence}\n")
    if outcome.decision != "promoted":
        sys.stdout.write(f"    to use it: ultralight models use {outcome.model.id}\n")
    return 0


def interrupted(number: int, frame: Any) -> None:
    """Handle a signal to end as if Ctrl+C had been pressed."""
    raise KeyboardInterrupt


def _new_class(text: str) -> LabelClass:
    name, _, color = text.partition(":#")
    if not name.strip() or (color and not re.fullmatch("[0-9a-fA-F]{6}", color)):
        raise argparse.ArgumentTypeError(f"expected NAME or NAME:#rrggbb, found {text!r}")
    if not color:
        return LabelClass(-1, name.strip())
    return LabelClass(-1, name.strip(), (int(color[:2], 16), int(color[2:4], 16), int(color[4:], 16)))
