"""`ultralight worklist agreement`: what two readers of one case agree on, and one set of labels from all of theirs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import InputError, UltraLightError
from .progress import write_json

if TYPE_CHECKING:
    from ..worklist import ListedCase, ReadersAgreement, Worklist


def run_agreement(options: argparse.Namespace) -> int:
    """Compare the readers of each case; 1 if that could not be done for any, which does not keep it from the others."""
    worklist = opened(options)
    cases = [worklist.case(name) for name in options.cases] or [case for case in worklist.cases() if _kept(case) > 1]
    if not cases:
        raise InputError(f"expected a case with the labels of two readers in {options.list}, found none; keep them with `set --labels`")
    failed = False
    for number, case in enumerate(cases):
        try:
            _compare(worklist, case, options, with_head=number == 0)
        except UltraLightError as error:
            failed = True
            tell([str(error)])
    return 1 if failed else 0


def _compare(worklist: Worklist, case: ListedCase, options: argparse.Namespace, *, with_head: bool) -> None:
    from ..io import write_labels
    from ..worklist import agreements, consensus
    from ..worklist.agreement import kept_labels

    if _kept(case) < 2:
        raise InputError(f"expected the labels of two readers of {case.name}, found {_kept(case)}; keep them with `set --labels`")
    for found in agreements(worklist, case.name):
        _show_agreement(found, options, with_head=with_head)
    if options.output is None:
        return
    suffix = next(reading.labels for reading in case.readings if reading.labels).partition(".")[2]
    path = options.output / f"{case.name}.{suffix}"
    if path.exists():
        # It may be the image itself, or what somebody has corrected.
        raise InputError(f"expected a new file for the consensus of {case.name}, found {path}; name another folder")
    kept = kept_labels(worklist, case)
    write_labels(consensus(list(kept.values()), options.consensus), path)
    if options.json:
        write_json(event="consensus", case=case.name, labels=str(path), method=options.consensus, readers=list(kept))
    else:
        sys.stdout.write(f"{case.name} -> {path}\n")


def _show_agreement(found: ReadersAgreement, options: argparse.Namespace, *, with_head: bool) -> None:
    if options.json:
        told = [
            {"label": a.label, "dice": a.dice, "hausdorff95": a.hausdorff95, "first_volume": a.predicted, "second_volume": a.reference}
            for a in found.classes
        ]
        write_json(event="agreement", case=found.case, first=found.first, second=found.second, classes=told)
        return
    if with_head:
        sys.stdout.write(f"{'case':24s} {'readers':24s} {'class':>5s} {'Dice':>7s} {'HD95':>8s} {'first':>10s} {'second':>10s}\n")
    readers = f"{found.first}, {found.second}"
    for entry in found.classes:
        distance = "-" if entry.hausdorff95 is None else f"{entry.hausdorff95:.2f}"
        volumes = f"{entry.predicted:10.2f} {entry.reference:10.2f}"
        sys.stdout.write(f"{found.case:24s} {readers:24s} {entry.label:5d} {entry.dice:7.4f} {distance:>8s} {volumes}\n")
    if not found.classes:
        sys.stdout.write(f"{found.case:24s} {readers:24s} both found nothing\n")


def opened(options: argparse.Namespace) -> Worklist:
    """The list that a command names."""
    from ..worklist import Worklist

    return Worklist(options.list, images=getattr(options, "images", None))


def tell(sentences: Iterable[str]) -> None:
    """On the error stream, a line each."""
    for sentence in sentences:
        sys.stderr.write(f"ultralight: {sentence}\n")


def _kept(case: ListedCase) -> int:
    return sum(bool(reading.labels) for reading in case.readings)
