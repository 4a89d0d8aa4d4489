"""`ultralight cohort`: many scans, gone on with after any failure."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .engine import add_engine
from .memory import add_max_memory

if TYPE_CHECKING:
    from ..cohort import Plan, Rating


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
    command.add_argument(
        "--only", choices=("good", "to-fix", "bad"), help="only cases rated so in --ratings; the report shows them before and after"
    )
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
    # Imported when it is needed, because other commands shall begin at once.
    from ..cohort import Place, plan_cohort, read_ratings, write_report
    from ..models import load_model
    from .following import check_options, follow, recipe_of, started, tell_plan, tell_summary

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


def _rated(plan: Plan, ratings: Mapping[str, Rating], options: argparse.Namespace) -> Plan:
    """The cases that a person rated as asked for."""
    from ..cohort.cases import readable

    asked = options.only.replace("-", " ")
    if not options.ratings:
        raise InputError(f"expected --ratings with a table from the report for --only {options.only}, found none; name it")
    wanted = {name for name, said in ratings.items() if said.rating == asked}
    cases = tuple(case for case in plan.cases if readable(case.name) in wanted)
    if not cases:
        raise InputError(f"expected cases rated {asked} in {options.ratings}, found none that are in {plan.root}")
    return replace(plan, cases=cases)


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
