"""BIDS derivatives: `_dseg.nii.gz` with its table of classes beside it.

A subject is a patient (or one image where the patient was not told) and a session is an image. The images themselves go to
`sourcedata`, which may hold anything: BIDS wants their contrast in the name, and nobody told it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..corrections import Revision
from ..corrections.files import as_json
from ..corrections.layout import CHECKED, LABELS
from ..disk import write_new
from ..models import LabelClass
from .copies import copy_image, copy_of
from .tables import class_table


def write_bids(folder: Path, cases: Sequence[Revision], classes: Sequence[LabelClass]) -> Iterator[Revision]:
    """A derivative dataset of labels; each table tells what was known when its labels were saved."""
    description = {
        "Name": "UltraLight corrections",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "UltraLight", "Version": cases[0].tool_version}],
    }
    write_new(folder / "dataset_description.json", as_json(description))
    write_new(folder / "README", b"Labels corrected by a person. The images lie under sourcedata, in the same folders.\n")
    for revision in cases:
        subject, session = f"sub-{revision.group}", f"ses-{revision.case}"
        place = folder / subject / session / "anat"
        source = folder / "sourcedata" / subject / session
        place.mkdir(parents=True)
        source.mkdir(parents=True)
        stem = f"{subject}_{session}"
        suffixes = [""] if revision.channels == 1 else [f"_{n:04d}" for n in range(revision.channels)]
        copy_image(revision, [source / f"{stem}{suffix}.nii.gz" for suffix in suffixes])
        copy_of(revision, LABELS, place / f"{stem}_space-orig_desc-corrected_dseg.nii.gz")
        write_new(place / f"{stem}_space-orig_desc-corrected_dseg.tsv", class_table(revision.classes))
        image = [f"bids::sourcedata/{subject}/{session}/{stem}{suffix}.nii.gz" for suffix in suffixes]
        sidecar = {"Manual": True, "SpatialReference": image[0], "Sources": image}
        write_new(place / f"{stem}_space-orig_desc-corrected_dseg.json", as_json(sidecar))
        if CHECKED in revision.files:
            copy_of(revision, CHECKED, place / f"{stem}_space-orig_desc-checked_mask.nii.gz")
            write_new(place / f"{stem}_space-orig_desc-checked_mask.json", as_json({"Type": "ROI", "SpatialReference": image[0]}))
        yield revision
