"""`ultralight evaluate`: how well labels agree with a reference."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..io import SUPPORTED_SUFFIXES, base_name, read_labels
from ..metrics import Agreement, compare
from .memory import add_max_memory
from .progress import warn, write_json


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "evaluate",
        help="compare labels with a reference",
        description="Dice, 95 % Hausdorff distance (mm), surface Dice and volume (ml) of each class; folders are matched by base name.",
    )
    command.add_argument("prediction", type=Path, metavar="PREDICTION", help="a label file or a folder of them")
    command.add_argument("reference", type=Path, metavar="REFERENCE", help="a label file or a folder of them")
    command.add_argument("--tolerance", type=_tolerance, default=1.0, metavar="MM", help="of the surface Dice (default: 1 mm)")
    add_max_memory(command)
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare, case by case and class by class; the mean over the cases at the end."""
    pairs = _pairs(options.prediction, options.reference)
    by_label: dict[int, list[Agreement]] = {}
    for number, (name, prediction, reference) in enumerate(pairs):
        found = [read_labels(path) for path in (prediction, reference)]
        agreements = compare(found[0], found[1], tolerance=options.tolerance)
        for path, labels in zip((prediction, reference), found, strict=True):
            for note in labels.facts.get("notes", ()):
                warn(path, note)
        if not (number or options.json):
            sys.stdout.write(
                f"{'case':24s} {'class':>5s} {'Dice':>7s} {'HD95':>8s} {'surface':>7s} {'predicted':>10s} {'reference':>10s}\n"
            )
        for agreement in agreements:
            by_label.setdefault(agreement.label, []).append(agreement)
            _show(name, agreement, as_json=options.json)
    for label, of_label in sorted(by_label.items()):
        # A case without this class in either has nothing to compare, and counts as full agreement.
        mean = float(np.mean([a.dice for a in of_label] + [1.0] * (len(pairs) - len(of_label))))
        if options.json:
            write_json(event="mean", label=label, cases=len(pairs), dice=mean)
        elif len(pairs) > 1:
            sys.stdout.write(f"{'mean of ' + str(len(pairs)):24s} {label:5d} {mean:7.4f}\n")
    return 0


def _tolerance(text: str) -> float:
    value = float(text)
    if not 0 <= value < np.inf:
        raise argparse.ArgumentTypeError(f"expected a distance in mm, found {text!r}")
    return value


def _show(name: str, agreement: Agreement, *, as_json: bool) -> None:
    if as_json:
        write_json(event="case", case=name, **asdict(agreement))
        return
    distance = "-" if agreement.hausdorff95 is None else f"{agreement.hausdorff95:.2f}"
    sys.stdout.write(
        f"{name:24s} {agreement.label:5d} {agreement.dice:7.4f} {distance:>8s} {agreement.surface_dice:7.4f} "
        f"{agreement.predicted:10.2f} {agreement.reference:10.2f}\n"
    )


def _pairs(prediction: Path, reference: Path) -> list[tuple[str, Path, Path]]:
    for path in (prediction, reference):
        if not path.exists():
            raise InputError(f"expected a label file or a folder of them, found nothing at {path}; check the name")
    if prediction.is_dir() != reference.is_dir():
        raise InputError("expected two files or two folders, found one of each; give PREDICTION and REFERENCE of the same kind")
    if not prediction.is_dir():
        return [(base_name(prediction), prediction, reference)]
    predictions, references = _files(prediction), _files(reference)
    missing = sorted(set(references) - set(predictions))
    if missing or not references:
        raise InputError(
            f"expected in {prediction} a file for each of the {len(references)} in {reference}, "
            f"found none for {', '.join(missing[:5]) or 'any: the folder is empty'}"
        )
    return [(name, predictions[name], references[name]) for name in sorted(references)]


def _files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        # Names that begin with a dot are what macOS leaves on foreign disks, or a file that is being written.
        if path.name.startswith(".") or not path.name.lower().endswith(tuple(SUPPORTED_SUFFIXES)):
            continue
        name = base_name(path)
        if name in found:
            raise InputError(f"expected one file of each base name, found {found[name].name} and {path.name} in {folder}; remove one")
        found[name] = path
    return found
