"""`ultralight models`: what can be used."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..models import list_models


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("models", help="list the models that are shipped or installed")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List every model with what it segments, its classes, scores and licence."""
    for model in list_models():
        if options.json:
            facts = {
                "name": model.name,
                "version": model.version,
                "title": model.title,
                "modality": model.modality,
                "spatial_dims": model.spatial_dims,
                "in_channels": model.architecture.in_channels,
                "classes": [c.name for c in model.classes],
                "licence": model.licence,
                "scores": dict(model.scores),
                "parent": model.parent,
                "sha256": model.sha256,
                "folder": str(model.folder),
            }
            sys.stdout.write(json.dumps(facts) + "\n")
            continue
        sys.stdout.write(
            f"{model.id}  {model.title}\n"
            f"    {model.spatial_dims}D, {model.modality}; {', '.join(c.name for c in model.classes[1:])}\n"
            f"    licence {model.licence}\n"
        )
    return 0
