"""`ultralight segment`: images in, labels out."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from ..engines import DEVICES, ENGINES
from ..errors import InputError
from ..events import finish
from ..inference.plausibility import doubts_before
from ..inference.session import Box, Request, Session
from ..io import check_target, read_image
from ..models import Model, load_model
from ..volume import Segmentation, Volume
from .memory import add_max_memory
from .progress import ProgressBar, ProgressLines, warn, write_json
from .targets import targets_of

_AXES = {"i": 2, "j": 1, "k": 0, "0": 2, "1": 1, "2": 0}
"""The command line counts axes as the file does, i first; arrays are (k, j, i)."""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "segment",
        help="label images",
        description="Label images. One image gives one file, several give a folder of files with the same base names.",
    )
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a file, or a folder that holds a DICOM series")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a file; for several images a folder")
    command.add_argument("--model", default="brain", metavar="NAME|DIR", help="NAME, NAME@VERSION or a model folder (default: brain)")
    command.add_argument("--engine", choices=ENGINES, default="auto", help="what runs the network (default: openvino on a CPU)")
    command.add_argument("--device", choices=DEVICES, default="auto", help="default: cpu")
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    command.add_argument("--box", type=_box, metavar="i0:i1,j0:j1,k0:k1", help="label only these voxels; ends are not included")
    command.add_argument("--axis", choices=tuple(_AXES), metavar="A", help="2D model on a volume: slices across i, j or k (or 0, 1, 2)")
    command.add_argument("--slice", type=int, metavar="N", help="2D model on a volume: only this slice, counted from 0")
    command.add_argument("--volume-index", type=int, metavar="N", help="which volume of a time series, counted from 0")
    command.add_argument("--series", metavar="UID", help="which series of a DICOM folder that holds several")
    command.add_argument("--nan-fill", type=float, metavar="V", help="replace NaN and infinite voxels by this value")
    command.add_argument(
        "--step", type=float, default=0.5, metavar="S", help="distance of sliding windows as a share of them (default: 0.5)"
    )
    command.add_argument("--profile", action="store_true", help="print where the time went")
    add_max_memory(command)
    command.add_argument("--json", action="store_true", help="progress and results as one JSON object a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Label every image; all inputs and outputs are checked for clashes before the first is read."""
    targets = targets_of(options.images, options.output)
    model = load_model(options.model)
    session = Session()
    for path, target in targets.items():
        show: Any = ProgressLines() if options.json else ProgressBar(path.name)
        began = time.perf_counter()
        try:
            image = read_image(path, volume_index=options.volume_index, series=options.series)
            read = time.perf_counter()
            _check_fit(model, image, target, options)
            request = Request(
                model,
                box=_to_array_order(options.box, image),
                axis=None if options.axis is None else _AXES[options.axis],
                slice=options.slice,
                engine=options.engine,
                device=options.device,
                threads=options.threads,
                step=options.step,
                nan_fill=options.nan_fill,
            )
            told = doubts_before(image, model, box=request.box)
            for doubt in told:
                warn(path, doubt)
            segmentation = finish(session.segment(image, request), show)
        finally:
            show.close()
        done = time.perf_counter()
        saved = segmentation.save(target)
        seconds = {"reading": read - began, **segmentation.facts["seconds"], "writing": time.perf_counter() - done}
        _report(path, saved, segmentation, seconds, options)
        for doubt in segmentation.facts["doubts"]:
            if doubt not in told:
                warn(path, doubt)
    return 0


def _check_fit(model: Model, image: Volume, target: Path, options: argparse.Namespace) -> None:
    """Refuse what was asked for but would be passed over, or fail at the end."""
    if (options.axis is not None or options.slice is not None) and (model.spatial_dims, image.spatial_dims) != (2, 3):
        raise InputError(
            f"expected --axis and --slice for a 2D model on a volume, found {model.name} ({model.spatial_dims}D) and an image in "
            f"{image.spatial_dims}D; leave them out"
        )
    check_target(image, target)


def _report(path: Path, saved: Path, segmentation: Segmentation, seconds: dict[str, float], options: argparse.Namespace) -> None:
    names = {c.index: c.name for c in segmentation.classes}
    volumes = segmentation.volumes_ml()
    counts = segmentation.counts()
    if options.json:
        classes = [{"label": n, "name": names.get(n, str(n)), "voxels": counts[n], "ml": volumes[n] if volumes else None} for n in counts]
        facts = {**segmentation.facts, "seconds": {k: round(v, 4) for k, v in seconds.items()}}
        write_json(event="result", image=str(path), labels=str(saved), classes=classes, **facts)
        return
    sys.stdout.write(f"{path} -> {saved}\n")
    for number, count in counts.items():
        amount = f"{volumes[number]:.1f} ml" if volumes else f"{count} voxels"
        sys.stdout.write(f"    {number} {names.get(number, '')}: {amount}\n")
    if segmentation.facts["voxel_size_assumed"]:
        sys.stderr.write(f"ultralight: {path} does not say how large its voxels are; 1 mm was assumed\n")
    for note in segmentation.facts["notes"]:
        warn(path, note)
    if options.profile:
        for stage, value in seconds.items():
            sys.stdout.write(f"    {value:8.3f} s  {stage}\n")


def _box(text: str) -> tuple[tuple[int, int], ...]:
    try:
        ranges = tuple((int(a), int(b)) for a, b in (part.split(":") for part in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected i0:i1,j0:j1,k0:k1 in whole numbers, found {text!r}") from None
    if len(ranges) not in (2, 3):
        raise argparse.ArgumentTypeError(f"expected two or three ranges, found {len(ranges)} in {text!r}")
    return ranges


def _to_array_order(box: Box | None, image: Volume) -> Box | None:
    if box is None:
        return None
    size = image.shape[::-1]
    if len(box) != len(size):
        raise InputError(f"expected {len(size)} ranges in --box for this image, found {len(box)}")
    if not all(0 <= start < end <= n for (start, end), n in zip(box, size, strict=True)):
        whole, found = (",".join(f"{a}:{b}" for a, b in ranges) for ranges in ([(0, n) for n in size], box))
        raise InputError(f"expected --box to lie inside the image, {whole}, found {found}; change the ranges")
    return box[::-1]
