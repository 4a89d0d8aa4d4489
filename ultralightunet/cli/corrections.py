"""`ultralight corrections`: a store of corrected cases is filled, listed and checked."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..events import finish
from ..io import read_image, read_labels
from ..io.nifti_place import moved_onto
from ..models import LabelClass, images_seen, load_model
from .memory import add_max_memory
from .progress import ProgressBar, ProgressLines, warn, write_json

if TYPE_CHECKING:
    from ..corrections import Revision, Store, Summary
    from ..volume import Volume

_UNNAMED = 64
"""More classes than these are not made up from numbers: a mask of 0 and 255 has one."""

Ranges = dict[str, list[tuple[int, int]]]


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    group = commands.add_parser("corrections", help="keep corrected labels for retraining")
    actions = group.add_subparsers(title="actions", required=True, metavar="ACTION")
    add = actions.add_parser(
        "add",
        help="save a correction",
        description="Save an image with its corrected labels. The store is made when the first correction is added; no patient's name, "
        "no path and no date of the image goes into it. The same image again makes a new revision of its case.",
    )
    add.add_argument("store", type=Path, metavar="STORE", help="folder of the store; one for each task")
    add.add_argument("--image", type=Path, required=True, metavar="IMAGE", help="a file, or a folder that holds a DICOM series")
    add.add_argument("--labels", type=Path, required=True, metavar="LABELS", help="the corrected labels, on the image's grid")
    add.add_argument("--prediction", type=Path, metavar="P", help="the labels that they started from")
    add.add_argument(
        "--checked-slices",
        type=_ranges,
        metavar="k:10-20,...",
        help="only these slices were checked, counted from 0, ends included: k:10-20,25,j:7; the rest never counts as truth",
    )
    add.add_argument(
        "--patient", metavar="KEY", help="the same for all images of a patient, so that they have one role; stored as a salted hash"
    )
    add.add_argument("--model", metavar="NAME|DIR", help="whose classes the labels have, and that made the prediction")
    add.add_argument("--classes", metavar="A,B", help="names of classes 1, 2, ... where there is no model (default: those of the store)")
    add.add_argument("--confirm", action="store_true", help="save labels that change nothing, or none at all: all of it is right")
    add.add_argument("--volume-index", type=int, metavar="N", help="which volume of a time series, counted from 0")
    add.add_argument("--series", metavar="UID", help="which series of a DICOM folder that holds several")
    add.add_argument("--nan-fill", type=float, metavar="V", help="replace NaN and infinite voxels by this value")
    add_max_memory(add)
    add.set_defaults(run=run_add)
    show = actions.add_parser("list", help="show what is in a store")
    show.add_argument("store", type=Path, metavar="STORE")
    show.add_argument("--all", action="store_true", help="every revision, not only the latest of each case")
    show.set_defaults(run=run_list)
    check = actions.add_parser("check", help="read every file of a store and compare it with its hash")
    check.add_argument("store", type=Path, metavar="STORE")
    check.add_argument(
        "--repair",
        action="store_true",
        help="then remove what interrupted saves left, and bring what is derived up to date; no correction is changed",
    )
    check.set_defaults(run=run_check)
    for action in (add, show, check):
        action.add_argument("--json", action="store_true", help="one JSON object a line")


def run_add(options: argparse.Namespace) -> int:
    """Show what changes, and save it."""
    from ..corrections import Store, summarize

    store = Store(options.store)
    image = read_image(options.image, volume_index=options.volume_index, series=options.series)
    if options.nan_fill is not None:
        from ..io import check_values

        image = check_values(image, nan_fill=options.nan_fill)
    labels = moved_onto(read_labels(options.labels), image)
    prediction = moved_onto(read_labels(options.prediction), image) if options.prediction else None
    model = load_model(options.model) if options.model else None
    if model and prediction:
        # The file does not say who made it.
        prediction = replace(prediction, model=model.id)
    highest = max(int(found.labels.max()) for found in (labels, prediction) if found)
    classes = model.classes if model else _classes(options.classes, store, highest)
    checked = _checked(options.checked_slices or {}, image) or None
    revision = store.add(
        image,
        labels,
        prediction,
        checked=checked,
        patient_key=options.patient,
        classes=classes,
        modality=model.modality if model else "",
        confirmed=options.confirm,
        seen_in_training=images_seen(model) if model else (),
    )
    for note in image.notes:
        warn(options.image, note)
    _show_saved(revision, summarize(labels, prediction, classes=classes, checked=checked), options)
    return 0


def run_list(options: argparse.Namespace) -> int:
    """One line for each case, or for each revision."""
    store = _existing(options.store)
    for revision in store.revisions() if options.all else store.cases():
        if options.json:
            write_json(event="correction", **_facts(revision))
            continue
        score = "   -  " if revision.dice is None else f"{revision.dice:.4f}"
        part = 100 * revision.voxels_checked / max(1, _size(revision))
        names = ", ".join(entry.name for entry in revision.classes[1:])
        sys.stdout.write(
            f"{revision.name}  {revision.role:7s}  Dice {score}  {revision.voxels_changed:9d} voxels changed  "
            f"{part:5.1f} % checked  {revision.model or '-'}  {names}\n"
        )
    return 0


def run_check(options: argparse.Namespace) -> int:
    """0 if everything that was ever saved is there, unchanged; what else is found is told."""
    store = _existing(options.store)
    show: Any = ProgressLines() if options.json else ProgressBar(options.store.name)
    try:
        report = finish(store.checking(), show)
    finally:
        show.close()
    removed = store.repair() if options.repair else []
    for problem in report.problems:
        if options.json:
            write_json(event="problem", loss=problem.is_loss, **asdict(problem))
        elif not problem.is_loss:
            sys.stdout.write(f"{problem.text}\n")
    if options.json:
        counts = {"cases": report.cases, "revisions": report.revisions, "problems": len(report.problems), "whole": report.whole}
        write_json(event="report", **counts, **({"removed": len(removed)} if options.repair else {}))
    else:
        repaired = f"; repaired, {len(removed)} unfinished file(s) removed" if options.repair else ""
        sys.stdout.write(f"{report.cases} case(s), {report.revisions} correction(s){repaired}\n")
    losses = [problem.text for problem in report.problems if problem.is_loss]
    for text in losses:
        sys.stderr.write(f"ultralight: {text}\n")
    return 1 if losses else 0


def _existing(folder: Path) -> Store:
    from ..corrections import Store

    store = Store(folder)
    if not store.exists:
        raise InputError(f"expected a store of corrections, found none at {folder}; check the name")
    if store.newer:
        sys.stderr.write(f"ultralight: {store.newer}\n")
    return store


def _classes(names: str | None, store: Store, highest: int) -> tuple[LabelClass, ...]:
    """As told, else those of the store, else as many without names as there are labels."""
    from ..corrections.classes import named_classes, unnamed_classes

    if names is not None:
        told = [text.strip() for text in names.split(",")]
        if not all(told):
            raise InputError(f"expected names of classes between commas, found {names!r}; write --classes liver,tumour")
        return named_classes(told)
    if not store.classes and highest > _UNNAMED:
        raise InputError(f"expected names for so many classes, found labels up to {highest}; say --classes A,B,... or --model NAME")
    return store.classes or unnamed_classes(max(1, highest))


def _show_saved(revision: Revision, summary: Summary, options: argparse.Namespace) -> None:
    if options.json:
        write_json(event="correction", **_facts(revision), changes=[asdict(change) for change in summary.classes])
        return
    changed = f"{summary.voxels_changed} of {summary.voxels_checked} checked voxels changed"
    score = "" if summary.dice is None else f", Dice between prediction and correction {summary.dice:.4f}"
    sys.stdout.write(f"{options.image} -> {revision.name} ({revision.role})\n    {changed}{score}\n")
    for change in summary.classes:
        amounts = (change.ml_before, change.ml_after) if change.ml_after is not None else (change.voxels_before, change.voxels_after)
        unit = "ml" if change.ml_after is not None else "voxels"
        before, after = (f"{v:.1f}" if isinstance(v, float) else "-" if v is None else str(v) for v in amounts)
        sys.stdout.write(f"    {change.index} {change.name}: {before} -> {after} {unit}\n")


def _facts(revision: Revision) -> dict[str, Any]:
    return {
        "case": revision.case,
        "revision": revision.number,
        "role": revision.role,
        "group": revision.group,
        "model": revision.model,
        "voxels": _size(revision),
        "voxels_checked": revision.voxels_checked,
        "voxels_changed": revision.voxels_changed,
        "dice": revision.dice,
        "classes": [entry.name for entry in revision.classes],
        "folder": str(revision.folder),
    }


def _size(revision: Revision) -> int:
    size = 1
    for n in revision.shape:
        size *= n
    return size


def _checked(ranges: Ranges, image: Volume) -> dict[int, list[int]]:
    """Slices by array axis."""
    axes = "kji"[-image.spatial_dims :]
    found = {}
    for name, ends in ranges.items():
        size = image.shape[axes.index(name)] if name in axes else 0
        highest = max(last for _, last in ends)
        if highest >= size:
            inside = ", ".join(f"{axis}:0-{n - 1}" for axis, n in zip(axes, image.shape, strict=True))
            raise InputError(f"expected --checked-slices inside the image, {inside}, found {name}:{highest}; change the numbers")
        found[axes.index(name)] = [n for first, last in ends for n in range(first, last + 1)]
    return found


def _ranges(text: str) -> Ranges:
    """`k:10-20,25,j:7` as ranges with both ends included, by axis."""
    found: Ranges = {}
    axis = ""
    for part in text.split(","):
        named, colon, numbers = part.strip().rpartition(":")
        axis = named.strip().lower() if colon else axis
        first, dash, last = numbers.partition("-")
        try:
            ends = int(first), int(last if dash else first)
        except ValueError:
            ends = 1, 0
        if axis not in ("i", "j", "k") or not 0 <= ends[0] <= ends[1]:
            raise argparse.ArgumentTypeError(f"expected slices such as k:10-20,25,j:7, found {text!r}")
        found.setdefault(axis, []).append(ends)
    return found
