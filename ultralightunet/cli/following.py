"""A cohort's work as a person or a program follows it: what `ultralight cohort` and `ultralight bids` share."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from ..cohort import CaseEnded, CaseRecord, DaskCluster, Plan, Recipe, Summary, run_cohort
from ..cohort.on_dask import LOCAL
from ..errors import InputError
from ..events import Progress
from ..models import Model
from .engine import AXES
from .progress import ProgressBar, write_json
from .retrain import interrupted

Work = Generator[Progress | CaseEnded, None, Summary]


def check_options(options: argparse.Namespace) -> None:
    """Refuse what contradicts itself, before anything is read.

    Raises:
        InputError: in one sentence.
    """
    if options.threads is not None and options.threads < 1:
        raise InputError(f"expected at least one thread, found {options.threads}; leave the number out to use all")
    if options.workers is not None and (options.workers < 1 or options.dask != LOCAL):
        raise InputError(f"expected --workers from 1 on, with --dask local, found {options.workers}; correct it or leave it out")


def recipe_of(model: Model, options: argparse.Namespace) -> Recipe:
    """How every case is labelled."""
    return Recipe.of(
        model,
        volume_index=options.volume_index,
        axis=None if options.axis is None else AXES[options.axis],
        engine=options.engine,
        device=options.device,
        # Local workers share the cores.
        threads=options.threads or (1 if options.dask == LOCAL else None),
        step=options.step,
        nan_fill=options.nan_fill,
    )


def started(plan: Plan, recipe: Recipe, options: argparse.Namespace, *, only: Collection[str] = ()) -> Work:
    """The work on a cohort, not yet begun."""
    # What a scheduler sends when a job's time is over: it ends as by Ctrl+C, with its table.
    signal.signal(signal.SIGTERM, interrupted)
    return run_cohort(
        plan,
        options.output,
        recipe,
        shard=options.shard,
        retry_failed=options.retry_failed,
        case_timeout=options.case_timeout,
        only=only,
        runner=DaskCluster(options.dask, workers=options.workers) if options.dask else None,
    )


def follow(work: Work, options: argparse.Namespace) -> Summary:
    """Show what happens until the work is done."""
    bar = ProgressBar(options.input.name)
    with closing(work), closing(bar):
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                summary: Summary = end.value
                return summary
            if isinstance(event, CaseEnded):
                bar.close()
                _tell_case(event, options)
            elif isinstance(event, Progress) and not options.json:
                bar(event)


def tell_plan(plan: Plan, options: argparse.Namespace) -> None:
    """How many cases there are, and what is none."""
    dry = getattr(options, "dry_run", False)
    if options.json:
        shown = [case.name for case in plan.cases] if dry else None
        write_json(event="plan", cases=len(plan.cases), passed_by=list(plan.passed_by), **({"names": shown} if shown else {}))
        return
    for sentence in plan.passed_by:
        sys.stderr.write(f"ultralight: passed by {sentence}\n")
    sys.stdout.write(f"{len(plan.cases)} case{'' if len(plan.cases) == 1 else 's'} in {plan.root}\n")
    for case in plan.cases if dry else ():
        sys.stdout.write(f"    {case.name}\n")


def _tell_case(ended: CaseEnded, options: argparse.Namespace) -> None:
    record = ended.record
    if options.json:
        rate = {"number": ended.number, "total": ended.total, "per_minute": round(ended.per_minute, 2)}
        write_json(event="case", **rate, seconds_left=round(ended.seconds_left, 1), **{**asdict(record), "state": record.verdict})
        return
    place = f"[{ended.number:{len(str(ended.total))}d}/{ended.total}]"
    left = f"{ended.per_minute:.1f} a minute, {_duration(ended.seconds_left)} left" if ended.number < ended.total else ""
    sys.stdout.write(f"{place} {record.case}: {_in_short(record)}{f'   ({left})' if left else ''}\n")
    for warning in record.warnings:
        sys.stdout.write(f"    {warning}\n")
    sys.stdout.flush()


def _in_short(record: CaseRecord) -> str:
    if record.failure:
        return f"failed: {record.failure}"
    amounts = [f"{v.name} {v.ml:.1f} ml" if v.ml is not None else f"{v.name} {v.voxels} voxels" for v in record.volumes]
    listed = ", ".join(amounts[:3]) + (", ..." if len(amounts) > 3 else "")
    return f"{record.verdict}, {record.seconds:.1f} s, {listed}"


def tell_summary(summary: Summary, report: Path | None, options: argparse.Namespace) -> None:
    """What the run came to."""
    if options.json:
        facts = {**asdict(summary), **({"report": report} if report else {})}
        write_json(event="result", **{name: str(value) if isinstance(value, Path) else value for name, value in facts.items()})
        return
    earlier = f" ({summary.passed_over} of them earlier)" if summary.passed_over else ""
    sys.stdout.write(
        f"{summary.done} done, {summary.flagged} of them flagged, {summary.failed} failed{earlier}: {report or summary.table}\n"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
