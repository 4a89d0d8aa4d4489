"""Who does the work of a cohort: one warm process here, or the workers of a cluster (`on_dask`)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict
from typing import Protocol

from ..disk import clear_unfinished
from ..events import Progress
from .cases import Case
from .one_case import case_log, facts_before
from .place import Place
from .recipe import Recipe
from .records import CaseRecord, record_from
from .warm_process import ProcessDiedError, TooLongError, WarmProcess

ATTEMPTS = 3
"""How often a case is tried whose process dies: it may have been another's fault, who killed it say, or took all memory."""


class Runner(Protocol):
    """Does the work of a cohort.

    Example:
        >>> from ultralightunet.cohort import OneProcess, Runner
        >>> runner: Runner = OneProcess()
        >>> runner.close()
    """

    def label_all(
        self, cases: Sequence[Case], place: Place, recipe: Recipe, *, limit: float | None
    ) -> Generator[Progress | CaseRecord, None, None]:
        """Label the cases, in whatever order, each once; yields the record of each as it ends, and how far it is in between.

        Args:
            cases: to be labelled.
            place: the folder for results.
            recipe: how.
            limit: seconds that a case may take.

        Raises:
            ModelError: if the model cannot be used.
            ObstacleError: if the folder cannot be written.
        """
        ...

    def close(self) -> None:
        """End what was begun for it."""
        ...


class OneProcess:
    """One warm process on this machine: the way that needs nothing.

    Args:
        process: the process, which then stays warm after `close`; None: one of its own.

    Example:
        >>> from ultralightunet.cohort import OneProcess
        >>> OneProcess().close()  # nothing was begun, and nothing has to end
    """

    def __init__(self, process: WarmProcess | None = None) -> None:
        self._process = process or WarmProcess()
        self._is_own = process is None

    def label_all(
        self, cases: Sequence[Case], place: Place, recipe: Recipe, *, limit: float | None
    ) -> Generator[Progress | CaseRecord, None, None]:
        """See `Runner`."""
        for case in cases:
            yield (yield from label_one(self._process, case, place, recipe, limit=limit))

    def close(self) -> None:
        """See `Runner`."""
        if self._is_own:
            self._process.close()


def label_one(
    process: WarmProcess, case: Case, place: Place, recipe: Recipe, *, limit: float | None
) -> Generator[Progress, None, CaseRecord]:
    """The record of a case, whatever becomes of the process that works on it.

    Raises:
        ModelError: if the model cannot be used.
        ObstacleError: if the folder cannot be written.
    """
    ends: list[str] = []
    while len(ends) < ATTEMPTS:
        try:
            told = yield from process.ask("case", limit=limit, case=case.facts(), folder=str(place.folder), recipe=asdict(recipe))
            return record_from(told)
        except ProcessDiedError as error:
            ends.append(str(error))
        except TooLongError as error:
            return failed(case, place, recipe, str(error), words=process.words)
        # What it left unfinished; those who come later would look only once into this folder.
        for path in (place.record(case), place.picture(case)):
            clear_unfinished(path.parent)
    how = f"{ATTEMPTS} times with {', '.join(dict.fromkeys(ends))}"
    failure = f"expected labels, found that the process ended {how}; look at the case's log, or whether the memory suffices"
    return failed(case, place, recipe, failure, words=process.words)


def failed(case: Case, place: Place, recipe: Recipe, failure: str, *, words: str = "") -> CaseRecord:
    """Note that a case has failed, with what its process said in its log.

    Raises:
        ObstacleError: if the folder cannot be written.
    """
    record = CaseRecord(**facts_before(case, recipe), failure=failure)
    with case_log(place, case) as log:
        log.note(failure)
        log.note(words)
    place.write(case, record)
    return record
