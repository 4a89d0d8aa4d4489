"""`ultralight models`: what can be used, which version is used, and where each comes from."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..errors import ModelError
from ..models import Model, list_models, load_model, set_current, trace, versions
from .progress import write_json


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("models", help="list the models that are shipped or installed, choose a version, trace its origin")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(run=run)
    actions = command.add_subparsers(title="actions", metavar="ACTION")
    use = actions.add_parser("use", help="make a version the one that NAME stands for")
    use.add_argument("model", metavar="NAME@VERSION")
    use.set_defaults(run=run_use)
    origin = actions.add_parser("trace", help="show what a model came from: its parents, and the cases they were trained on")
    origin.add_argument("model", metavar="NAME[@VERSION]|DIR")
    origin.set_defaults(run=run_trace)
    for action in (use, origin):
        # Otherwise its default would take back a --json before the action.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """List every model with what it segments, its classes, scores and licence."""
    found = [version for name in dict.fromkeys(model.name for model in list_models()) for version in versions(name)]
    for version in found:
        model = version.model
        if options.json:
            write_json(
                name=model.name,
                version=model.version,
                title=model.title,
                modality=model.modality,
                spatial_dims=model.spatial_dims,
                in_channels=model.architecture.in_channels,
                classes=[c.name for c in model.classes],
                licence=model.licence,
                scores=dict(model.scores),
                current=version.is_current,
                parent=version.parent,
                cases=list(model.origin.get("cases", ())),
                created=version.created,
                sha256=model.sha256,
                folder=str(model.folder),
            )
            continue
        several = sum(other.model.name == model.name for other in found) > 1
        sys.stdout.write(
            f"{model.id}  {model.title}{'  (in use)' if several and version.is_current else ''}\n"
            f"    {model.spatial_dims}D, {model.modality}; {', '.join(c.name for c in model.classes[1:])}\n"
            f"    licence {model.licence}\n"
        )
        if version.cases:
            sys.stdout.write(f"    retrained from {version.parent} on {len(version.cases)} corrected case(s), {version.created}\n")
    return 0


def run_use(options: argparse.Namespace) -> int:
    """Choose a version."""
    name, _, version = options.model.partition("@")
    if not version:
        there = ", ".join(model.id for model in list_models() if model.name == name) or "none of that name"
        raise ModelError(f"expected NAME@VERSION ({there}), found {options.model!r}; say which version")
    model = set_current(name, version)
    if options.json:
        write_json(event="result", model=model.id, folder=str(model.folder))
    else:
        sys.stdout.write(f"{name} is now {model.id}\n")
    return 0


def run_trace(options: argparse.Namespace) -> int:
    """One line for the model, one for each ancestor, and below them the cases that they were trained on."""
    model = load_model(options.model)
    for step in trace(model):
        if options.json:
            write_json(**step)
            continue
        sys.stdout.write(f"{step['model']}  weights {step['sha256'][:16]}  {step['created']} {step['decision']}".rstrip() + "\n")
        for case in step["cases"]:
            sys.stdout.write(
                f"    {case['case']}/{case['revision']:04d}  {case['use']:7s}  image {case['image_sha256'][:16]}  "
                f"labels {case['labels_sha256'][:16]}\n"
            )
    _warn_of_a_gap(model)
    return 0


def _warn_of_a_gap(model: Model) -> None:
    last = trace(model)[-1]
    if last["parent"]:
        sys.stderr.write(f"ultralight: {last['parent']}, from which {last['model']} was trained, is not at hand; the trace ends there\n")
