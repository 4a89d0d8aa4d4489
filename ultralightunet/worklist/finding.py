"""Which images there are to be listed: in a folder, a BIDS data set, a list, or among the results of `ultralight cohort`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from ..cohort.cases import Case, readable, safe_name
from ..cohort.finding import LISTS, in_list, is_like
from ..cohort.place import RUN
from ..cohort.records import DONE, CaseRecord, read_record
from ..disk import read_json
from ..errors import InputError, only_our_errors
from ..io import SUPPORTED_SUFFIXES, base_name
from ..io.formats import suffix_of

Found = tuple[Case, CaseRecord | None]
"""An image, and what a cohort's run says of it."""

_BIDS = re.compile(r"sub-[^/]+/(ses-[^/]+/)?anat/[^/]+\.nii(\.gz)?")


def find_images(source: Path, match: Sequence[str]) -> tuple[Path, Iterator[Found]]:
    """The folder that the images' paths begin at, and the images.

    Args:
        source: the folder, the list, or a cohort's folder of results.
        match: only images whose path or name is like one of these.

    Raises:
        InputError: if there is nothing of the kind.
    """
    if source.is_file() and source.suffix.lower() in LISTS:
        return source.parent, ((case, None) for case in in_list(source) if is_like(case.source, match))
    if not source.is_dir():
        what = "the file" if source.exists() else "nothing at"
        raise InputError(f"expected a folder, a list ({', '.join(LISTS)}) of images, or results of a cohort, found {what} {source}")
    if (source / RUN).is_file():
        root = _root_of(source)
        return root, _of_cohort(source, root, match)
    return source, _in_folder(source, match)


def labels_of(source: Path, record: CaseRecord | None) -> Path | None:
    """The file of the labels that a cohort has written, None if there are none."""
    return source / record.labels if record and record.state == DONE and record.labels else None


def _in_folder(root: Path, match: Sequence[str]) -> Iterator[Found]:
    is_bids = (root / "dataset_description.json").is_file()
    for place, folders, files in os.walk(root, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            inside = (Path(place) / name).relative_to(root)
            if not _is_image(name, files) or not is_like(str(inside), match) or (is_bids and not _BIDS.fullmatch(inside.as_posix())):
                continue
            yield Case(safe_name((*inside.parent.parts, base_name(name))), root / inside, str(inside)), None


def _is_image(name: str, beside: Sequence[str]) -> bool:
    """Whether a file is an image by itself: no labels of Slicer, no slice of a DICOM series, not the second file of a pair."""
    lower = name.lower()
    if name.startswith(".") or lower.endswith(".seg.nrrd") or SUPPORTED_SUFFIXES.get(suffix_of(Path(name)), "dicom") == "dicom":
        return False
    return ".img" not in lower or not any(other.lower() == lower.replace(".img", ".hdr") for other in beside)


def _root_of(results: Path) -> Path:
    with only_our_errors(results / RUN, "the results of a cohort"):
        facts: Any = read_json(results / RUN)
        root = Path(str(facts["input"]))
    # A list's images begin at its folder.
    return root.parent if root.suffix.lower() in LISTS and not root.is_dir() else root


def _of_cohort(results: Path, root: Path, match: Sequence[str]) -> Iterator[Found]:
    # Those of a BIDS data set lie where its images do.
    for path in sorted((*results.glob("labels/**/*.json"), *results.glob("sub-*/**/*.json"))):
        record = read_record(path)
        if record is None or not is_like(record.image, match):
            continue
        name = safe_name(PurePath(record.case).parts)
        if name:
            yield Case(name, root / record.image, readable(record.image)), record


def _raise(error: OSError) -> None:
    raise error
