"""`ultralight segment`: images in, labels out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..events import finish
from ..inference.files import LabelledFile, label_file
from ..inference.plausibility import doubts_before
from ..inference.session import Box, Request, Session
from ..models import Model, load_model
from ..volume import Volume
from .engine import AXES, add_engine
from .memory import add_max_memory
from .progress import ProgressBar, ProgressLines, warn, write_json
from .targets import targets_of


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "segment",
        help="label images",
        description="Label images. One image gives one file, several give a folder of files with the same base names.",
    )
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a file, or a folder that holds a DICOM series")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a file; for several images a folder")
    add_engine(command)
    command.add_argument("--box", type=_box, metavar="i0:i1,j0:j1,k0:k1", help="label only these voxels; ends are not included")
    command.add_argument("--slice", type=int, metavar="N", help="2D model on a volume: only this slice, counted from 0")
    command.add_argument("--series", metavar="UID", help="which series of a DICOM folder that holds several")
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
        told: list[str] = []

        def wanted(image: Volume, path: Path = path, target: Path = target, told: list[str] = told) -> tuple[Request, Path]:
            request = _request(model, image, options)
            told += doubts_before(image, model, box=request.box)
            for doubt in told:
                warn(path, doubt)
            return request, target

        try:
            labelled = finish(label_file(session, path, wanted, volume_index=options.volume_index, series=options.series), show)
        finally:
            show.close()
        _report(path, labelled, options)
        for doubt in labelled.segmentation.facts["doubts"]:
            if doubt not in told:
                warn(path, doubt)
    return 0


def _request(model: Model, image: Volume, options: argparse.Namespace) -> Request:
    """What is asked of an image; what would be passed over is refused."""
    if (options.axis is not None or options.slice is not None) and (model.spatial_dims, image.spatial_dims) != (2, 3):
        raise InputError(
            f"expected --axis and --slice for a 2D model on a volume, found {model.name} ({model.spatial_dims}D) and an image in "
            f"{image.spatial_dims}D; leave them out"
        )
    return Request(
        model,
        box=_to_array_order(options.box, image),
        axis=None if options.axis is None else AXES[options.axis],
        slice=options.slice,
        engine=options.engine,
        device=options.device,
        threads=options.threads,
        step=options.step,
        nan_fill=options.nan_fill,
    )


def _report(path: Path, labelled: LabelledFile, options: argparse.Namespace) -> None:
    segmentation, seconds = labelled.segmentation, labelled.seconds
    names = {c.index: c.name for c in segmentation.classes}
    volumes = segmentation.volumes_ml()
    counts = segmentation.counts()
    if options.json:
        classes = [{"label": n, "name": names.get(n, str(n)), "voxels": counts[n], "ml": volumes[n] if volumes else None} for n in counts]
        facts = {**segmentation.facts, "seconds": {k: round(v, 4) for k, v in seconds.items()}}
        write_json(event="result", image=str(path), labels=str(labelled.path), classes=classes, **facts)
        return
    sys.stdout.write(f"{path} -> {labelled.path}\n")
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
