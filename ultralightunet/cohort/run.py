"""All cases that are not done, by whoever does the work; what is done is passed over."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UltraLightError
from ..events import Progress
from .cases import Case, in_shard
from .finding import Plan
from .place import Place, alone, open_place
from .recipe import Recipe
from .records import DONE, CaseRecord
from .runners import OneProcess, Runner
from .table import TABLE, write_table


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
    only: Collection[str] = (),
    runner: Runner | None = None,
) -> Generator[Progress | CaseEnded, None, Summary]:
    r"""Label all cases that are not done; the same again goes on where an earlier run ended, however it ended.

    Args:
        plan: the cases.
        output: the folder for the results; see `open_place`.
        recipe: how they are labelled.
        shard: which part of how many is this run's; runs of other parts may go on at the same time, on any machine that has the folder.
        retry_failed: whether cases that failed, and have not changed since, are tried again.
        case_timeout: seconds that a case may take.
        only: names of the cases to work on; the others have their rows in the table.
        runner: does the work, and is closed at the end; None: one warm process.

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
    cases = in_shard((case for case in plan.cases if not only or case.name in only), *shard)
    with closing(runner or OneProcess()) as worker:
        place = open_place(output, recipe, root=plan.root)
        summary = Summary(place.folder, place.folder / TABLE)
        part = f"part {shard[0]} of {shard[1]}"
        guard = f"{part} {_digest(only)}" if only else part
        taken = f"expected to be the only one at {part} in {place.folder}, found another run at it; wait until it has ended"
        with alone(place, guard, otherwise=taken), _table_in_the_end(place, plan.cases):
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
            number = 0
            for event in worker.label_all(waiting, place, recipe, limit=case_timeout):
                if isinstance(event, Progress):
                    yield event
                    continue
                number += 1
                summary = summary.with_one(event)
                seconds = time.monotonic() - began
                left = seconds / number * (len(waiting) - number)
                yield CaseEnded(event, number, len(waiting), 60 * number / max(seconds, 1e-3), left)
    return summary


@contextmanager
def _table_in_the_end(place: Place, cases: Sequence[Case]) -> Iterator[None]:
    """Write the table, however what is done inside ends."""
    try:
        yield
    except BaseException:
        # The reason why the run ends is told already; if the table cannot be written either, the next run makes it.
        with suppress(UltraLightError):
            write_table(place, cases)
        raise
    write_table(place, cases)


def is_settled(record: CaseRecord, case: Case, place: Place, recipe: Recipe, *, retry_failed: bool) -> bool:
    """Whether a case need not be done again."""
    if record.recipe != recipe.key or record.fingerprint != case.fingerprint():
        return False
    if record.state != DONE:
        return not retry_failed
    return place.labels_of(case, record).is_file()


def _digest(names: Collection[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogateescape")).hexdigest()[:8]
