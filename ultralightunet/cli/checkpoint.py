"""`ultralight import-checkpoint`: a checkpoint of the authors' 2D network becomes a model."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..models import install_model
from ..models.checkpoints import import_checkpoint


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "import-checkpoint",
        help="make a model of a checkpoint of the authors' 2D network",
        description="Make a model folder of a checkpoint of the authors' 2D network (MK-UNet). Only tensors are read; no code is run.",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="a safetensors file or a PyTorch state_dict")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the new model folder")
    command.add_argument("--name", help="of the model (default: the folder's name)")
    command.add_argument("--classes", default="", metavar="A,B", help="names of the foreground classes")
    command.add_argument("--size", type=_size, default=(352, 352), metavar="HxW", help="images are resized to this (default: 352x352)")
    command.add_argument("--modality", default="unknown")
    command.add_argument("--title", default="", help="what it segments, one line")
    command.add_argument("--licence", default="unknown", help="of the weights")
    command.add_argument("--install", action="store_true", help="also install it, so that napari and --model find it by name")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import, and say what was found."""
    if find_spec("torch") is None:
        raise InputError("expected PyTorch to read a checkpoint, found none installed; pip install 'napari-ultralight[train]'")
    model = import_checkpoint(
        options.file,
        options.output,
        name=options.name or options.output.resolve().name,
        classes=[text.strip() for text in options.classes.split(",") if text.strip()],
        size=options.size,
        modality=options.modality,
        title=options.title,
        licence=options.licence,
    )
    if options.install:
        model = install_model(model.folder)
    network = model.architecture
    sys.stdout.write(
        f"{model.id} in {model.folder}: {network.in_channels} channel(s) in, {network.out_channels} out, widths {list(network.channels)}\n"
    )
    return 0


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in pixels, found {text!r}") from None
    if height < 1 or width < 1:
        raise argparse.ArgumentTypeError(f"expected a height and a width above zero, found {text!r}")
    return height, width
