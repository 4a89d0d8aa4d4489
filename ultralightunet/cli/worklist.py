"""`ultralight worklist`: which case next, and what became of each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .memory import add_max_memory
from .progress import write_json
from .readers import opened, run_agreement, tell

if TYPE_CHECKING:
    from ..worklist import Handed, ListedCase

_STATES = {"to-do": "to do", "labelled": "labelled", "in-work": "in work", "checked": "checked", "rejected": "rejected"}
"""As they are typed, and as they are said."""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    group = commands.add_parser("worklist", help="hand out cases one by one, and keep what became of each")
    actions = group.add_subparsers(title="actions", required=True, metavar="ACTION")
    _add_create(actions)
    _add_next(actions)
    _add_list(actions)
    _add_set(actions)
    _add_agreement(actions)


def _add_create(actions: Any) -> None:
    create = _action(
        actions,
        "create",
        run_create,
        "make a list",
        "Make a list of the images in a folder, a list of files, a BIDS data set, or the results of `ultralight cohort`, whose labels come "
        "along. Every image is read once; one that comes twice is listed once.",
    )
    create.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help="a folder of images, a BIDS data set, a list (.txt with paths, .tsv or .csv with a column image), or a cohort's results",
    )
    create.add_argument(
        "--ratings", type=Path, metavar="TSV", help="only cases rated 'to fix' in this table, which a cohort's report downloads"
    )
    create.add_argument(
        "--match", action="append", default=[], metavar="GLOB", help="only images whose path or name is like this, e.g. '*_T1w.nii.gz'"
    )
    create.add_argument(
        "--order",
        choices=("gain", "listed"),
        default="gain",
        help="first what the model doubts and what is unlike all that is done, or as listed (default: gain)",
    )
    create.add_argument("--readers", type=int, default=1, metavar="N", help="how many are to check each case (default: 1)")
    create.add_argument("--hash-readers", action="store_true", help="keep a salted hash in place of a reader's name")
    create.add_argument(
        "--hours", type=float, default=24.0, metavar="H", help="a case in work is given back by itself after this time (default: 24)"
    )


def _add_next(actions: Any) -> None:
    following = _action(
        actions,
        "next",
        run_next,
        "hand out the next case",
        "Hand a reader the case that they have in work, else the next that is free; nobody else gets it meanwhile.",
    )
    _add_reader(following, required=True)
    _add_images(following)
    add_max_memory(following)


def _add_list(actions: Any) -> None:
    show = _action(actions, "list", run_list, "show all cases", "A line for each case: state, name, confidence, readers, notes.")
    show.add_argument("--state", choices=_STATES, help="only cases in this state")


def _add_set(actions: Any) -> None:
    change = _action(
        actions,
        "set",
        run_set,
        "say what became of a case",
        "Say that a case is checked, rejected or labelled, take it, or give it back (to-do). Labels that a reader checked are copied into "
        "the list, on the image's grid.",
    )
    change.add_argument("case", metavar="CASE", help="its name, as `list` shows it")
    change.add_argument("--state", choices=_STATES, help="the new state; to-do gives it back, whatever the reader said of it")
    _add_reader(change, required=False)
    change.add_argument("--reason", default="", metavar="TEXT", help="why it is rejected")
    change.add_argument("--note", default="", metavar="TEXT", help="a note, with or without a state")
    change.add_argument("--labels", type=Path, metavar="FILE", help="the labels that were checked, or that a model has made")
    change.add_argument("--model", default="", metavar="NAME@VERSION", help="that made the labels, with --state labelled")
    change.add_argument("--confidence", type=float, metavar="P", help="of that model, from 0 to 1")
    _add_images(change)
    add_max_memory(change)


def _add_agreement(actions: Any) -> None:
    agreement = _action(
        actions,
        "agreement",
        run_agreement,
        "compare the readers of a case",
        "Dice, 95 % Hausdorff distance (mm) and volumes (ml) of each class for each two readers of a case; with -o also one set of labels "
        "from all of theirs.",
    )
    agreement.add_argument("cases", nargs="*", metavar="CASE", help="names of cases (default: all with two readers)")
    agreement.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write a consensus of each case into this folder")
    agreement.add_argument(
        "--consensus",
        choices=("majority", "staple"),
        default="majority",
        help="the label that more than half gave, or readers weighed by STAPLE (default: majority)",
    )


def _action(actions: Any, name: str, run: Callable[[argparse.Namespace], int], help_text: str, description: str) -> Any:
    action = actions.add_parser(name, help=help_text, description=description)
    action.add_argument("list", type=Path, metavar="LIST", help="folder of the list")
    action.add_argument("--json", action="store_true", help="one JSON object a line")
    action.set_defaults(run=run)
    return action


def _add_reader(action: Any, *, required: bool) -> None:
    action.add_argument("--reader", required=required, default="", metavar="NAME", help="who reads")


def _add_images(action: Any) -> None:
    action.add_argument("--images", type=Path, metavar="FOLDER", help="where the images are now, if not where they were")


def run_create(options: argparse.Namespace) -> int:
    """Make the list, and tell what is not in it."""
    from ..worklist import create_worklist

    rules = {"order": options.order, "readers": options.readers, "hash_readers": options.hash_readers, "hours": options.hours}
    worklist, passed_by = create_worklist(options.list, options.input, ratings=options.ratings, match=options.match, **rules)
    tell(passed_by)
    cases = worklist.cases()
    labelled = sum(bool(case.labels) for case in cases)
    if options.json:
        write_json(event="worklist", folder=str(worklist.folder), cases=len(cases), labelled=labelled, passed_by=list(passed_by))
    else:
        sys.stdout.write(f"{len(cases)} case{'' if len(cases) == 1 else 's'}, {labelled} of them labelled, in {worklist.folder}\n")
    return 0


def run_next(options: argparse.Namespace) -> int:
    """Hand out a case; 0 also if none is left."""
    worklist = opened(options)
    handed = worklist.next(options.reader)
    tell(handed.told)
    if handed.case is not None:
        _show_handed(handed, handed.case, options)
    elif options.json:
        write_json(event="end", told=list(handed.told))
    else:
        sys.stdout.write(f"nothing is left for {options.reader}{' that can be opened' if handed.told else ''}\n")
    return 0


def run_list(options: argparse.Namespace) -> int:
    """A line for each case, and how many there are of each state."""
    worklist = opened(options)
    cases = worklist.cases()
    for case in cases:
        if options.state in (None, *(typed for typed, said in _STATES.items() if said == case.state)):
            _show(case, options)
    if worklist.damaged:
        lines = ", ".join(map(str, worklist.damaged))
        tell([f"expected whole lines in the ledger of {options.list}, found line {lines} damaged; what was said there is not known"])
    if not options.json:
        counts = [(sum(case.state == state for case in cases), state) for state in _STATES.values()]
        sys.stdout.write(", ".join(f"{count} {state}" for count, state in counts if count) + "\n")
    return 0


def run_set(options: argparse.Namespace) -> int:
    """Note what was said of a case."""
    worklist, state, name = opened(options), options.state, options.case
    wrong = _misfit(options)
    if wrong:
        raise InputError(wrong)
    if state == "in-work":
        handed = worklist.take(name, options.reader)
        tell(handed.told)
    elif state == "labelled":
        worklist.label(name, options.labels, model=options.model, confidence=options.confidence)
    elif state == "rejected":
        worklist.reject(name, options.reader, options.reason)
    elif state == "to-do":
        worklist.give_back(name, options.reader)
    elif state == "checked":
        worklist.check(name, options.reader, options.labels, note=options.note)
    if options.note and state != "checked":
        worklist.note(name, options.note, reader=options.reader)
    _show(worklist.case(name), options)
    return 0


def _misfit(options: argparse.Namespace) -> str:
    """Why the options do not go together, "" if they do."""
    if options.state is None and not options.note:
        return f"expected --state or --note, found neither; say what became of {options.case}"
    if options.state in ("in-work", "checked", "rejected", "to-do") and not options.reader:
        return f"expected --reader with --state {options.state}, found none; say who reads"
    if options.state == "labelled" and options.labels is None:
        return "expected --labels with --state labelled, found none; say which file the model has made"
    if options.labels is not None and options.state not in ("labelled", "checked"):
        return "expected --labels with --state labelled or checked only, found another use; leave them out"
    return ""


def _show_handed(handed: Handed, case: ListedCase, options: argparse.Namespace) -> None:
    if options.json:
        labels = str(handed.labels) if handed.labels else None
        write_json(event="case", **{**asdict(case), "image": str(handed.image), "labels": labels}, told=list(handed.told))
        return
    sys.stdout.write(f"{case.name}\n    image   {handed.image}\n")
    for label, lines in (("labels ", (handed.labels,) if handed.labels else ()), ("doubted", case.doubts), ("note   ", case.notes)):
        sys.stdout.write("".join(f"    {label} {line}\n" for line in lines))


def _show(case: ListedCase, options: argparse.Namespace) -> None:
    if options.json:
        write_json(event="case", **asdict(case))
        return
    confidence = "  -  " if case.confidence is None else f"{case.confidence:.3f}"
    readers = ", ".join(f"{reading.state}: {reading.reader}" for reading in case.readings)
    said = "; ".join(text for text in (readers, case.reason, *case.notes) if text)
    sys.stdout.write(f"{case.state:8s}  {confidence}  {case.name}{f'  ({said})' if said else ''}\n")
