"""Whether a store is whole: every file against the hashes that were noted when it was saved. Nothing is changed or deleted."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import InputError
from ..events import Progress
from .classes import merged_all
from .dataset import DATASET, dataset_facts, is_current
from .files import file_hash
from .ledger import LEDGER, Ledger, read_ledger
from .records import FACTS, Revision, read_revision

CASES, WRITING = "cases", ".writing-"

Kind = Literal["damaged", "lost", "leftover", "ledger", "unlisted", "dataset"]


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        kind: "damaged" or "lost" if a correction is; else "leftover" (of a save that was interrupted), "ledger" (a line cut short),
            "unlisted" (a correction without its line) or "dataset" (`dataset.json` is not up to date), by which nothing is lost.
        where: path inside the store.
        text: one sentence for a person.

    Example:
        >>> from ultralightunet.corrections import Problem
        >>> Problem("leftover", ".writing-1", "expected nothing but cases, found what is left of a save").is_loss
        False
    """

    kind: Kind
    where: str
    text: str

    @property
    def is_loss(self) -> bool:
        """Whether something that was saved cannot be read any more."""
        return self.kind in ("damaged", "lost")


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        cases: how many.
        revisions: how many that can be read.
        problems: what is not as it should be.

    Example:
        >>> from ultralightunet.corrections import Problem, Report
        >>> Report(1, 2, (Problem("lost", "cases/1/0001", "expected a correction, found none"),)).whole
        False
    """

    cases: int
    revisions: int
    problems: tuple[Problem, ...]

    @property
    def whole(self) -> bool:
        """Whether everything that was ever saved is there, unchanged."""
        return not any(problem.is_loss for problem in self.problems)


def checking(store: Path) -> Generator[Progress, None, Report]:
    """Read every file of a store.

    Raises:
        OSError: if the store's folder or ledger cannot be read.
    """
    ledger = read_ledger(store)
    problems = [_leftover(path) for path in sorted(store.iterdir()) if path.name.startswith(".") and path.name != ".lock"]
    problems += [
        Problem("ledger", LEDGER, f"expected whole lines in {LEDGER}, found line {number} cut short; nothing is lost by it")
        for number in ledger.damaged
    ]
    folders = list(revision_folders(store))
    revisions = []
    images_done: set[Path] = set()
    for done, folder in enumerate(folders):
        yield Progress("Checking", done, len(folders))
        try:
            revision = read_revision(folder)
        except InputError as error:
            problems.append(Problem("damaged", inside(store, folder), f"{error}; take it from a copy of the store"))
            continue
        revisions.append(revision)
        problems += _faults(store, revision, ledger, images_done)
    yield Progress("Checking", len(folders), len(folders))
    problems += _lost(ledger, folders, store)
    cases = sorted(path for path in (store / CASES).glob("*") if path.is_dir())
    present = {folder.parent for folder in folders}
    problems += [
        Problem("damaged", inside(store, case), f"expected corrections in {inside(store, case)}, found none; take them from a copy")
        for case in cases
        if case not in present
    ]
    problems += _dataset(store, revisions)
    return Report(len(cases), len(revisions), tuple(problems))


def revision_folders(store: Path) -> Iterator[Path]:
    """The folder of every revision, those of a case together and the oldest first."""
    for case in sorted((store / CASES).glob("*")):
        yield from sorted((path for path in case.glob("*") if path.is_dir() and path.name.isdecimal()), key=lambda path: int(path.name))


def latest_of(revisions: list[Revision]) -> list[Revision]:
    """The last of each case, of revisions in the order of `revision_folders`."""
    return list({revision.case: revision for revision in revisions}.values())


def inside(store: Path, path: Path) -> str:
    """A path as it reads inside the store."""
    return path.relative_to(store).as_posix()


def _leftover(path: Path) -> Problem:
    what = "a save" if path.name.startswith(WRITING) else "a write"
    return Problem(
        "leftover",
        path.name,
        f"expected no unfinished files, found {path.name} of {what} that was interrupted; it was never part of the store",
    )


def _faults(store: Path, revision: Revision, ledger: Ledger, images_done: set[Path]) -> Iterator[Problem]:
    expected = {revision.folder / name: sha256 for name, sha256 in revision.files.items()}
    expected |= {path: revision.image_files[path.name] for path in revision.image_paths if path not in images_done}
    images_done.update(revision.image_paths)
    entry = ledger.of(revision.case, revision.number)
    if entry is None:
        yield Problem(
            "unlisted",
            inside(store, revision.folder),
            f"expected a line for {revision.name} in {LEDGER}, found none; the correction is whole, the next save adds the line",
        )
    elif "facts_sha256" in entry:
        expected[revision.folder / FACTS] = str(entry["facts_sha256"])
    if (revision.case, f"{revision.number:04d}") != (revision.folder.parent.name, revision.folder.name):
        where = inside(store, revision.folder)
        yield Problem(
            "damaged", where, f"expected the facts of {where}, found those of {revision.case}/{revision.number:04d}; it was moved"
        )
    for path, sha256 in expected.items():
        where = inside(store, path)
        try:
            found = file_hash(path)
        except OSError as error:
            yield Problem(
                "damaged", where, f"expected {where}, found none that can be read ({error.strerror}); take it from a copy of the store"
            )
            continue
        if found != sha256:
            yield Problem(
                "damaged",
                where,
                f"expected {where} with sha256 {sha256[:12]}..., found {found[:12]}...; it was damaged or changed, "
                "take it from a copy of the store",
            )


def _lost(ledger: Ledger, folders: list[Path], store: Path) -> Iterator[Problem]:
    present = {(folder.parent.name, int(folder.name)) for folder in folders}
    for case, number in sorted(ledger.names() - present):
        where = f"{CASES}/{case}/{number:04d}"
        yield Problem(
            "lost", where, f"expected {where}, which {LEDGER} tells of, found nothing in {store.name}; take it from a copy of the store"
        )


def _dataset(store: Path, revisions: list[Revision]) -> Iterator[Problem]:
    try:
        classes = merged_all(revision.classes for revision in revisions)
    except InputError as error:
        yield Problem("damaged", CASES, str(error))
        return
    if revisions and not is_current(store, dataset_facts(store, latest_of(revisions), classes)):
        yield Problem("dataset", DATASET, f"expected {DATASET} to name the latest corrections, found others; the next save writes it anew")
