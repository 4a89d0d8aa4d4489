"""`ultralight bids`: a BIDS data set, with the arguments of a BIDS App."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .cohort import add_running
from .engine import add_engine
from .progress import write_json


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "bids",
        help="label a BIDS data set, as a BIDS App",
        description="Label the anatomical images of a BIDS data set; OUT becomes a BIDS derivative. `participant` labels images, `group` "
        "makes cohort.tsv and report.html of all. The same command again goes on after any failure.",
    )
    command.add_argument("input", type=Path, metavar="BIDS_DIR", help="the data set")
    command.add_argument("output", type=Path, metavar="OUT", help="the folder for the derivative")
    command.add_argument("level", choices=("participant", "group"), help="label images, or sum up what was labelled")
    command.add_argument("--participant-label", nargs="+", default=[], metavar="LABEL", help="only these, with or without sub-")
    command.add_argument("--suffix", nargs="+", default=["T1w"], metavar="SUFFIX", help="which images, e.g. T2w (default: T1w)")
    command.add_argument("--skip-bids-validation", action="store_true", help="take a folder without dataset_description.json, too")
    add_engine(command)
    add_running(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """One level of the analysis."""
    # Imported when it is needed, because other commands shall begin at once.
    from ..cohort import open_place, plan_bids, write_report
    from ..cohort.bids import chosen, describe
    from ..cohort.table import write_table
    from ..models import load_model
    from .following import check_options, follow, recipe_of, started, tell_plan, tell_summary

    check_options(options)
    if options.output.resolve() == options.input.resolve():
        raise InputError(f"expected another folder than the data set's own, found {options.output}; name one in its derivatives/ say")
    model = load_model(options.model)
    plan = plan_bids(options.input, model, suffixes=options.suffix, check=not options.skip_bids_validation)
    only = chosen(plan, options.participant_label)
    recipe = recipe_of(model, options)
    place = open_place(options.output, recipe, root=plan.root)
    describe(place, plan, recipe)
    if options.level == "group":
        table = write_table(place, plan.cases)
        report = write_report(plan, place, recipe)
        if options.json:
            write_json(event="result", table=str(table), report=str(report))
        return 0
    tell_plan(plan, options)
    summary = follow(started(plan, recipe, options, only=only), options)
    tell_summary(summary, write_report(plan, place, recipe) if options.report else None, options)
    return 1 if summary.failed else 0
