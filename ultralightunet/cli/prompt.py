"""`ultralight prompt`: points and boxes in, the mask of one object out."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..events import finish
from ..io import check_target, check_values, read_image, read_labels
from ..io.nifti_place import moved_onto
from ..models import LabelClass
from ..prompting import Box, Point, Prompt, PromptSession, into_labels
from ..volume import Segmentation, Volume
from .memory import add_max_memory
from .progress import ProgressBar, ProgressLines, write_json
from .targets import targets_of

_COLOUR = (230, 159, 0)


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "prompt",
        help="label one object that is pointed at",
        description="Label one object by pointing at it. Voxels are counted from 0, slice first: K,J,I in a volume, J,I in a picture.",
    )
    command.add_argument("image", type=Path, metavar="IMAGE", help="a file, or a folder that holds a DICOM series")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the labels' file")
    command.add_argument("--point", type=_voxel, action=_InOrder, metavar="K,J,I", help="a voxel of the object; as often as needed")
    command.add_argument("--not-point", type=_voxel, action=_InOrder, metavar="K,J,I", help="a voxel that is not of it")
    command.add_argument(
        "--box", type=_ranges, action=_InOrder, metavar="k0:k1,j0:j1,i0:i1", help="the object lies inside; ends not included"
    )
    command.add_argument("--labels", type=Path, metavar="FILE", help="labels that the object is put into; other classes stay as they are")
    command.add_argument("--class", type=int, default=1, dest="index", metavar="N", help="label value of the object (default: 1)")
    command.add_argument(
        "--axis", type=int, choices=(0, 1, 2), metavar="A", help="slices across k, j or i, as 0, 1, 2 (default: the largest voxels)"
    )
    command.add_argument("--slice-only", action="store_true", help="label the slices that were pointed at, and no others")
    command.add_argument(
        "--propagate", action="store_true", help="follow the class N of --labels from the slices that have it to those between and beyond"
    )
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    command.add_argument("--volume-index", type=int, metavar="N", help="which volume of a time series, counted from 0")
    command.add_argument("--nan-fill", type=float, metavar="V", help="replace NaN and infinite voxels by this value")
    command.add_argument("--series", metavar="UID", help="which series of a DICOM folder that holds several")
    add_max_memory(command)
    command.add_argument("--json", action="store_true", help="progress and result as one JSON object a line")
    command.set_defaults(run=run, prompts=[])


def run(options: argparse.Namespace) -> int:
    """Answer the prompts in the order in which they were given, as if one had been drawn after the other."""
    if not options.prompts and not options.propagate:
        raise InputError("expected a prompt, found none; give --point K,J,I or --box k0:k1,j0:j1,i0:i1")
    target = targets_of([options.image], options.output)[options.image]
    show: Any = ProgressLines() if options.json else ProgressBar(options.image.name)
    try:
        image = read_image(options.image, volume_index=options.volume_index, series=options.series)
        if options.nan_fill is not None:
            image = check_values(image, nan_fill=options.nan_fill)
        check_target(image, target)
        labels, classes = _given(image, options)
        session = PromptSession(
            image,
            start=labels == options.index if labels.any() else None,
            axis=options.axis,
            slice_only=options.slice_only,
            threads=options.threads,
        )
        began = time.perf_counter()
        notes: list[str] = []
        for prompt in options.prompts:
            finish(session.adding(prompt), show)
            notes += session.notes
        if options.propagate:
            finish(session.propagating(), show)
    finally:
        show.close()
    seconds = time.perf_counter() - began
    merged = into_labels(labels, session.mask, options.index, in_place_of=labels == options.index)
    notes = [*image.notes, *notes]
    facts = {"prompts": len(options.prompts), "seconds": round(seconds, 4), "notes": notes}
    saved = Segmentation(merged, image.affine, classes, image.has_spacing, image.source, "", facts).save(target)
    voxels = int((merged == options.index).sum())
    if options.json:
        write_json(event="result", image=str(options.image), labels=str(saved), label=options.index, voxels=voxels, **facts)
        return 0
    sys.stdout.write(f"{options.image} -> {saved}\n    {options.index}: {voxels} voxels\n")
    for note in notes:
        sys.stderr.write(f"ultralight: {options.image}: {note}\n")
    return 0


def _given(image: Volume, options: argparse.Namespace) -> tuple[np.ndarray[Any, Any], tuple[LabelClass, ...]]:
    """The labels to put the object into, and their classes."""
    if not 0 < options.index < 2**16:
        raise InputError(f"expected a class from 1 to {2**16 - 1}, found {options.index}; 0 is the background")
    classes: tuple[LabelClass, ...] = (LabelClass(0, "background", (0, 0, 0)),)
    labels = np.zeros(image.shape, np.uint8)
    if options.labels is not None:
        read = moved_onto(read_labels(options.labels), image)
        if read.labels.shape != image.shape or not np.allclose(read.affine, image.affine, atol=1e-3):
            raise InputError(
                f"expected labels on the grid of the image, {image.shape}, found {read.labels.shape} in {options.labels} or another place; "
                "choose labels of this image"
            )
        labels, classes = read.labels, read.classes or classes
    if options.index > np.iinfo(labels.dtype).max:
        labels = labels.astype(np.uint16)
    if options.index not in {c.index for c in classes}:
        classes = (*classes, LabelClass(options.index, "object", _COLOUR))
    return labels, classes


class _InOrder(argparse.Action):
    """Keeps prompts of all kinds in the order in which they were given: the later one counts."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        prompt: Prompt = Box(values) if option == "--box" else Point(values, positive=option == "--point")
        namespace.prompts = [*namespace.prompts, prompt]


def _voxel(text: str) -> tuple[int, ...]:
    try:
        voxel = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected K,J,I in whole numbers, found {text!r}") from None
    if len(voxel) not in (2, 3):
        raise argparse.ArgumentTypeError(f"expected two or three numbers, found {len(voxel)} in {text!r}")
    return voxel


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    try:
        ranges = tuple((int(a), int(b)) for a, b in (part.split(":") for part in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected k0:k1,j0:j1,i0:i1 in whole numbers, found {text!r}") from None
    if len(ranges) not in (2, 3):
        raise argparse.ArgumentTypeError(f"expected two or three ranges, found {len(ranges)} in {text!r}")
    return ranges
