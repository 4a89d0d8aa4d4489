"""Whether a store is whole: every file against the hashes that were noted when it was saved. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..disk import unfinished_in
from ..errors import InputError
from ..events import Progress
from .classes import merged_all
from .dataset import dataset_facts, is_current
from .files import file_hash
from .layout import CASES, DATASET, DERIVED, FACTS, LEDGER, LOCK, case_names, inside, own, revision_folders
from .ledger import Ledger, read_ledger
from .records import Revision, read_revision

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
    problems = [_leftover(store, path) for path in sorted(store.iterdir()) if path.name.startswith(".") and path.name != LOCK]
    if (store / DERIVED).is_dir():
        problems += [_leftover(store, path) for path in unfinished_in(store / DERIVED)]
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
    cases = [store / CASES / name for name in case_names(store)]
    present = {folder.parent for folder in folders}
    problems += [
        Problem("damaged", inside(store, case), f"expected corrections in {inside(store, case)}, found none; take them from a copy")
        for case in cases
        if case not in present
    ]
    problems += _dataset(store, revisions)
    return Report(len(cases), len(revisions), tuple(problems))


def latest_of(revisions: list[Revision]) -> list[Revision]:
    """The last of each case, of revisions in the order of `revision_folders`."""
    return list({revision.case: revision for revision in revisions}.values())


def _leftover(store: Path, path: Path) -> Problem:
    what = "a save" if path.name.startswith(".writing-") else "a write"
    return Problem(
        "leftover",
        inside(store, path),
        f"expected no unfinished files, found {inside(store, path)} of {what} that was interrupted; it was never part of the store",
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
    for path, sha256 in expected.items():
        where = inside(store, path)
        try:
            found = file_hash(own(store, path))
        except InputError as error:
            yield Problem("damaged", where, str(error))
            continue
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
    if revisions and not is_current(store, dataset_facts(latest_of(revisions), classes)):
        yield Problem(
            "dataset",
            DATASET,
            f"expected {DATASET} to name the latest corrections, found others; `corrections check --repair` writes it anew",
        )
