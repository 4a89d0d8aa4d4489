"""Case after case with one warm model in a process of its own, which may die of a scan; what is done is passed over."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..disk import clear_unfinished
from ..errors import UltraLightError
from ..events import Progress
from .cases import Case, in_shard
from .finding import Plan
from .one_case import case_log, facts_before
from .place import Place, alone, open_place
from .recipe import Recipe
from .records import DONE, CaseRecord, record_from
from .table import write_table
from .warm_process import ProcessDiedError, TooLongError, WarmProcess

ATTEMPTS = 3
"""How often a case is tried whose process dies: it may have been another's fault, who killed it say, or took all memory."""


@dataclass(frozen=True)
class CaseEnded:
    """A case has come to its labels, or failed.

    Attributes:
        record: what became of it.
        number: how many have ended in this run, this one among them.
        total: how many this run has to do.
        per_minute: cases.
        seconds_left: until all are done, at that rate.

    Example:
        >>> from ultralightunet.cohort import CaseEnded, CaseRecord
        >>> ended = CaseEnded(CaseRecord("a", "done", "a.nii"), 1, 4, per_minute=30.0, seconds_left=6.0)
        >>> f"{ended.record.case}: {ended.number} of {ended.total}"
        'a: 1 of 4'
    """

    record: CaseRecord
    number: int
    total: int
    per_minute: float
    seconds_left: float


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        folder: holds the results.
        table: the file with a row for each case.
        done: cases with labels, of this run and earlier ones.
        flagged: those of them whose labels are doubted.
        failed: cases without, now or earlier.
        passed_over: those of all these that were done earlier, or failed earlier and were not tried again.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet.cohort import CaseRecord, Summary
        >>> summary = Summary(Path("results"), Path("results/cohort.tsv")).with_one(CaseRecord("a", "done", "a.nii"))
        >>> summary.done, summary.failed
        (1, 0)
    """

    folder: Path
    table: Path
    done: int = 0
    flagged: int = 0
    failed: int = 0
    passed_over: int = 0

    def with_one(self, record: CaseRecord, *, passed_over: bool = False) -> Summary:
        """The summary with one case more."""
        return replace(
            self,
            done=self.done + (record.state == DONE),
            flagged=self.flagged + record.is_flagged,
            failed=self.failed + (record.state != DONE),
            passed_over=self.passed_over + passed_over,
        )


def run_cohort(
    plan: Plan,
    output: str | Path,
    recipe: Recipe,
    *,
    shard: tuple[int, int] = (1, 1),
    retry_failed: bool = False,
    case_timeout: float | None = None,
    process: WarmProcess | None = None,
) -> Generator[Progress | CaseEnded, None, Summary]:
    r"""Label all cases that are not done; the same again goes on where an earlier run ended, however it ended.

    Args:
        plan: the cases.
        output: the folder for the results; see `open_place`.
        recipe: how they are labelled.
        shard: which part of how many is this run's; runs of other parts may go on at the same time, on any machine that has the folder.
        retry_failed: whether cases that failed, and have not changed since, are tried again.
        case_timeout: seconds that a case may take.
        process: does the work, and stays warm for the next run; None: one of this run's own.

    Yields:
        How far it is, and each case as it ends. Closing the generator cancels the present case and keeps all that have ended.

    Returns:
        How many are done, doubted, failed.

    Raises:
        ModelError: if the model cannot be used.
        OutputError: if the folder cannot be written (what is done is kept), or another run is at this part.

    Example:
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import Recipe, plan_cohort, run_cohort
        >>> from ultralightunet.events import finish
        >>> model = ulu.load_model("hippocampus")
        >>> plan = plan_cohort("sample_data", model, output="results", match=["*hippocampus_left*"])
        >>> summary = finish(run_cohort(plan, "results", Recipe.of(model, threads=1)))
        >>> summary.done, summary.failed, summary.table.read_text().splitlines()[1].split("\t")[:2]
        (1, 0, ['colin27_hippocampus_left', 'done'])
    """
    cases = in_shard(plan.cases, *shard)
    place = open_place(output, recipe, root=plan.root)
    part = f"part {shard[0]} of {shard[1]}"
    taken = f"expected to be the only one at {part} in {place.folder}, found another run at it; wait until it has ended"
    with alone(place, part, otherwise=taken):
        summary = Summary(place.folder, place.folder / "cohort.tsv")
        worker = process or WarmProcess()
        try:
            waiting = []
            for number, case in enumerate(cases):
                if number % 100 == 0:
                    yield Progress("Looking at what is done", number, len(cases))
                record = place.read(case)
                if record is not None and is_settled(record, case, place, recipe, retry_failed=retry_failed):
                    summary = summary.with_one(record, passed_over=True)
                else:
                    waiting.append(case)
            began = time.monotonic()
            for number, case in enumerate(waiting, 1):
                record = yield from _ended(case, place, recipe, worker, case_timeout)
                summary = summary.with_one(record)
                seconds = time.monotonic() - began
                yield CaseEnded(record, number, len(waiting), 60 * number / max(seconds, 1e-3), seconds / number * (len(waiting) - number))
        finally:
            if process is None:
                worker.close()
            # If the disk is full, the reason for that is told already, and the next run makes the table.
            with suppress(UltraLightError):
                write_table(place, plan.cases)
    return summary


def is_settled(record: CaseRecord, case: Case, place: Place, recipe: Recipe, *, retry_failed: bool) -> bool:
    """Whether a case need not be done again."""
    if record.recipe != recipe.key or record.fingerprint != case.fingerprint():
        return False
    if record.state != DONE:
        return not retry_failed
    return place.labels_of(case, record).is_file()


def _ended(case: Case, place: Place, recipe: Recipe, worker: WarmProcess, limit: float | None) -> Generator[Progress, None, CaseRecord]:
    """The record of a case, whatever becomes of the process that works on it."""
    ends: list[str] = []
    while len(ends) < ATTEMPTS:
        try:
            told = yield from worker.ask("case", limit=limit, case=case.facts(), folder=str(place.folder), recipe=asdict(recipe))
            return record_from(told)
        except ProcessDiedError as error:
            ends.append(str(error))
        except TooLongError as error:
            return _failed(case, place, recipe, str(error), worker.words)
        # What it left unfinished; those who come later would only look once into this folder.
        clear_unfinished(place.labels(case, "").parent)
    how = ", ".join(dict.fromkeys(ends))
    failure = (
        f"expected labels, found that the process ended {ATTEMPTS} times with {how}; look at the case's log, or whether the memory suffices"
    )
    return _failed(case, place, recipe, failure, worker.words)


def _failed(case: Case, place: Place, recipe: Recipe, failure: str, words: str) -> CaseRecord:
    record = CaseRecord(**facts_before(case, recipe), failure=failure)
    with case_log(place, case) as log:
        log.note(failure)
        log.note(words)
    place.write(case, record)
    return record
