"""A new list: images are found, looked at once each, and written down as cases."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cohort import CaseRecord, Rating, read_ratings
from ..cohort.cases import Case
from ..cohort.ratings import TO_FIX
from ..disk import folder_beside, share, sync_folder
from ..errors import InputError, OutputError, only_our_errors
from .cases import ListedCase
from .facts import LIST, ORDERS, ListFacts, write_facts
from .finding import Found, find_images, labels_of
from .images import as_seen_from, image_digest
from .readers import one_line
from .worklist import Worklist


def create_worklist(
    folder: str | Path,
    source: str | Path,
    *,
    ratings: str | Path | None = None,
    match: Sequence[str] = (),
    order: str = "gain",
    readers: int = 1,
    hash_readers: bool = False,
    hours: float = 24.0,
) -> tuple[Worklist, tuple[str, ...]]:
    """Make a list.

    Every image is read once, as bytes, so that it is known again and one that comes twice is listed once. Whether it is damaged turns out
    when it is handed to somebody.

    Args:
        folder: for the list; must not exist.
        source: a folder of images, which is searched with all folders in it; a BIDS data set (with `dataset_description.json`), whose
            anatomical images are taken; a list as `plan_cohort` takes it; or the folder of results of `ultralight cohort`, whose labels,
            confidence and doubts come along.
        ratings: the table that a cohort's report downloads; only cases that are rated *to fix* are listed, with their notes.
        match: only images whose path or name is like one of these patterns.
        order: "gain" to hand out first what is doubted and unlike what is done, "listed" to keep the order of `source`.
        readers: how many are to check each case.
        hash_readers: whether a salted hash stands for a reader's name.
        hours: after which a case in work is given back by itself.

    Returns:
        The list, and why other images are not in it, one sentence each.

    Raises:
        InputError: if there is nothing to list, or a rule is none that there can be.
        OutputError: if the list cannot be written, or there is something at `folder`.

    Example:
        >>> from ultralightunet.worklist import create_worklist
        >>> worklist, passed_by = create_worklist("heads", "sample_data", match=["*hippocampus*"], readers=2)
        >>> [case.name for case in worklist.cases()], passed_by
        (['colin27_hippocampus_left', 'colin27_hippocampus_right'], ())
    """
    folder, source = Path(folder), Path(source)
    if order not in ORDERS or readers < 1 or not 0 < hours < math.inf:
        raise InputError(
            f"expected the order {' or '.join(ORDERS)}, one reader or more, and some hours, found {order!r}, {readers} and {hours}; "
            "correct what is wrong"
        )
    if os.path.lexists(folder):
        raise OutputError(f"expected a new folder for the worklist, found something at {folder}; name another one")
    rated = None if ratings is None else _to_fix(Path(ratings))
    with only_our_errors(source, "images that can be listed"):
        root, found = find_images(source, match)
        cases, passed_by = _listed(found, folder, source, root, rated)
    if not cases:
        why = f" ({passed_by[0]}{f'; and {len(passed_by) - 1} more' if len(passed_by) > 1 else ''})" if passed_by else ""
        raise InputError(
            f"expected images to list in {source}, found none{why}; choose another folder, --match or --ratings, "
            "or name folders of DICOM series in a list"
        )
    images, then = as_seen_from(folder.resolve(), root.resolve()), root.resolve().as_posix()
    _write(folder, ListFacts(images, then, secrets.token_bytes(32), tuple(cases), order, readers, hash_readers, float(hours)))
    return Worklist(folder), tuple(passed_by)


def _to_fix(path: Path) -> dict[str, Rating]:
    found = {name: rating for name, rating in read_ratings(path).items() if rating.rating == TO_FIX}
    if not found:
        raise InputError(f"expected cases rated {TO_FIX!r} in {path}, found none; rate some in the report and download the table again")
    return found


def _listed(
    found: Iterable[Found], folder: Path, source: Path, root: Path, rated: Mapping[str, Rating] | None
) -> tuple[list[ListedCase], list[str]]:
    """The cases, and why other images are none."""
    cases: list[ListedCase] = []
    passed_by: list[str] = []
    names: dict[str, str] = {}
    images: dict[tuple[str, str], str] = {}
    seen: set[str] = set()
    for case, record in found:
        seen.add(case.name)
        if rated is not None and case.name not in rated:
            continue
        try:
            # A list is a file of text, and names of files need not be.
            f"{case.name}{case.image}".encode()
            digest = image_digest(case.image)
        except InputError as error:
            passed_by.append(str(error))
            continue
        except UnicodeEncodeError:
            passed_by.append(f"expected an image whose path is text, found {case.source}; rename it")
            continue
        # Lower case, because these names are one file on Windows and macOS.
        taken, twin = names.get(case.name.lower()), images.get((digest, case.series))
        if taken or twin:
            what = f"the same image as {twin}" if twin else f"the same name as {taken}"
            passed_by.append(f"expected each image once, found {case.source}, which has {what}; it is left out")
            continue
        names[case.name.lower()] = images[digest, case.series] = case.source
        note = rated[case.name].note if rated else ""
        cases.append(_case(case, record, digest, note, labels_of(source, record), folder, root))
    missing = (name for name in rated or () if name not in seen)
    passed_by += [f"expected an image of each rated case, found none for {name} in {source}" for name in missing]
    return cases, passed_by


def _case(case: Case, record: CaseRecord | None, digest: str, note: str, labels: Path | None, folder: Path, root: Path) -> ListedCase:
    facts: dict[str, Any] = {"name": case.name, "image": as_seen_from(root, case.image), "series": case.series, "sha256": digest}
    notes = tuple(line for line in (one_line(note),) if line)
    if record is None or labels is None:
        failure = (f"not labelled: {one_line(record.failure)}",) if record and record.failure else ()
        return ListedCase(**facts, notes=(*failure, *notes))
    return ListedCase(
        **facts,
        labels=as_seen_from(folder.resolve(), labels.resolve()),
        model=record.model,
        confidence=record.confidence,
        volumes={str(volume.label): float(volume.voxels) for volume in record.volumes},
        doubts=record.warnings,
        notes=notes,
    )


def _write(folder: Path, facts: ListFacts) -> None:
    """Write the list beside its place and move it there, whole."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder.parent, "writing") as beside:
            write_facts(beside, facts)
            share(beside)
            # Not over a list that another program has made meanwhile: only an empty folder would give way.
            os.rename(beside, folder)
        share(folder / LIST)
        sync_folder(folder.parent)
    except OSError as error:
        raise OutputError(
            f"expected to write the worklist {folder}, found an obstacle: {error.strerror or error}; nothing is left of it; "
            "free space there or choose another folder"
        ) from error
