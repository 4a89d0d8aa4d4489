"""`ultralight cohort`: many scans, gone on with after any failure."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Collection, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..cohort import (
    CaseEnded,
    CaseRecord,
    DaskCluster,
    Place,
    Plan,
    Rating,
    Recipe,
    Summary,
    plan_cohort,
    read_ratings,
    run_cohort,
    write_report,
)
from ..cohort.cases import readable
from ..cohort.on_dask import LOCAL
from ..cohort.ratings import RATINGS
from ..errors import InputError
from ..events import Progress
from ..models import Model, load_model
from .engine import AXES, add_engine
from .memory import add_max_memory
from .progress import ProgressBar, write_json
from .retrain import interrupted

Work = Generator[Progress | CaseEnded, None, Summary]

_ONLY = {rating.replace(" ", "-"): rating for rating in RATINGS}


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "cohort",
        help="label many scans, and go on after any failure",
        description="Label all scans in a folder and in the folders in it, or those of a list. The same command again passes over what is "
        "done and goes on; one bad scan never stops it. The exit code is 1 if any case failed.",
    )
    command.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help="a folder, or a list of images: .txt with a path a line, .tsv or .csv with a column image (and name, series)",
    )
    command.add_argument("output", type=Path, metavar="OUT", help="the folder for labels, records, logs and cohort.tsv")
    add_engine(command)
    command.add_argument(
        "--match", action="append", default=[], metavar="GLOB", help="only images whose path or name is like this, e.g. '*_T1w.nii.gz'"
    )
    command.add_argument(
        "--series", action="append", default=[], metavar="GLOB", help="only DICOM series whose description is like this, e.g. '*T1*'"
    )
    command.add_argument("--ratings", type=Path, metavar="TSV", help="ratings that were downloaded from the report, shown in the next one")
    command.add_argument("--only", choices=tuple(_ONLY), help="only cases rated so in --ratings; the report shows them before and after")
    command.add_argument("--dry-run", action="store_true", help="list the cases, and do nothing")
    add_running(command)
    command.set_defaults(run=run)


def add_running(command: argparse.ArgumentParser) -> None:
    """Add the options that say how a cohort is worked through."""
    command.add_argument(
        "--shard", type=_shard, default=(1, 1), metavar="N/M", help="only part N of M, for several machines or jobs at once"
    )
    command.add_argument("--dask", metavar="ADDRESS|local", help="on the workers of a Dask scheduler, or on several here")
    command.add_argument(
        "--workers", type=int, metavar="N", help="how many, with --dask local (default: as many as cores and memory allow)"
    )
    command.add_argument("--retry-failed", action="store_true", help="try again what failed and has not changed since")
    command.add_argument("--case-timeout", type=_seconds, metavar="SECONDS", help="the longest that one case may take")
    command.add_argument(
        "--report", action="store_true", help="write report.html: a picture of each case, to be sorted, filtered and rated"
    )
    add_max_memory(command)
    command.add_argument("--json", action="store_true", help="the plan, each case and the result as one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Label the cohort; a line for each case."""
    check_options(options)
    ratings = read_ratings(options.ratings) if options.ratings else {}
    model = load_model(options.model)
    plan = plan_cohort(options.input, model, output=options.output, match=options.match, series=options.series)
    part = _rated(plan, ratings, options) if options.only else plan
    tell_plan(part, options)
    if options.dry_run:
        return 0
    recipe = recipe_of(model, options)
    only = [case.name for case in part.cases] if options.only else []
    summary = follow(started(plan, recipe, options, only=only), options)
    report = None
    if options.report:
        place, before = Place(summary.folder), Place(options.output)
        report = write_report(
            part,
            place,
            recipe,
            ratings=ratings,
            before=before if options.only and before != place else None,
            name=f"report-{options.only}.html" if options.only else "report.html",
        )
    tell_summary(summary, report, options)
    return 1 if summary.failed else 0


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


def _rated(plan: Plan, ratings: Mapping[str, Rating], options: argparse.Namespace) -> Plan:
    """The cases that a person rated as asked for."""
    if not options.ratings:
        raise InputError(f"expected --ratings with a table from the report for --only {options.only}, found none; name it")
    wanted = {name for name, said in ratings.items() if said.rating == _ONLY[options.only]}
    cases = tuple(case for case in plan.cases if readable(case.name) in wanted)
    if not cases:
        raise InputError(f"expected cases rated {_ONLY[options.only]} in {options.ratings}, found none that are in {plan.root}")
    return replace(plan, cases=cases)


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


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise argparse.ArgumentTypeError(f"expected N/M with N from 1 to M, found {text!r}")
    return number, count


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, found {text!r}")
    return seconds
