"""`ultralight export`: a store of corrections in the layout of another tool."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..events import finish
from .progress import ProgressBar, ProgressLines, write_json

FORMATS = ("nnunet", "msd", "bids", "dicom-seg", "seg-nrrd", "nifti")
"""As `ultralightunet.exports.FORMATS`, which takes a moment to import."""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "export",
        help="write a store of corrections for other tools",
        description="Copy the latest correction of each case, with its image, into a new folder, on the same grid and under pseudonyms.",
    )
    command.add_argument("store", type=Path, metavar="STORE")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a new or empty folder")
    command.add_argument("--format", choices=FORMATS, required=True)
    command.add_argument(
        "--role", choices=("train", "holdout"), help="only cases that train, or only those that are held out (default: both)"
    )
    command.add_argument("--dicom-source", type=Path, metavar="DIR", help="for dicom-seg: folder with the series that the images came from")
    command.add_argument(
        "--keep-patient",
        action="store_true",
        help="for dicom-seg: keep name, number and dates of patient and study, for segmentations that go back to that study "
        "(default: the store's pseudonym, no dates)",
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export, with a bar."""
    from ..corrections import Store
    from ..exports import exporting

    store = Store(options.store)
    if not store.exists:
        raise InputError(f"expected a store of corrections, found none at {options.store}; check the name")
    if options.dicom_source is not None and options.format != "dicom-seg":
        raise InputError(f"expected --dicom-source with --format dicom-seg, found it with {options.format}; leave it out")
    if options.keep_patient and options.format != "dicom-seg":
        raise InputError(f"expected --keep-patient with --format dicom-seg, found it with {options.format}; leave it out")
    show: Any = ProgressLines() if options.json else ProgressBar(options.store.name)
    try:
        work = exporting(
            store,
            options.output,
            format=options.format,
            role=options.role,
            dicom_source=options.dicom_source,
            keep_patient=options.keep_patient,
        )
        folder = finish(work, show)
    finally:
        show.close()
    if options.keep_patient:
        sys.stderr.write(f"ultralight: the segmentations in {folder} name the patient, as was asked for; keep them where the images are\n")
    if options.json:
        count = store.count()
        write_json(event="result", folder=str(folder), format=options.format, cases=count[options.role] if options.role else count.total())
    else:
        sys.stdout.write(f"{options.store} -> {folder}\n")
    return 0
