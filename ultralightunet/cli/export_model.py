"""`ultralight export-model`: a model as a MONAI bundle or an ONNX file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

FORMATS = ("monai-bundle", "onnx")
"""As `ultralightunet.model_exports.FORMATS`, which is imported when it is needed."""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "export-model",
        help="write a model as a MONAI bundle or an ONNX file",
        description="Write a model for other tools: a bundle that MONAI runs, or the network alone (image in, logits out) as ONNX. "
        "The model's licence goes with it.",
    )
    command.add_argument("model", metavar="MODEL", help="NAME, NAME@VERSION or a model folder")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a new folder, or a new file that ends in .onnx")
    command.add_argument("--format", choices=FORMATS, required=True)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export, and say where it is and under which licence."""
    from ..model_exports import export_model
    from ..models import load_model

    model = load_model(options.model)
    path = export_model(model, options.output, format=options.format)
    sys.stdout.write(f"{model.id} -> {path} (licence of the model: {model.licence or 'not stated'})\n")
    return 0
