"""`cohort.tsv`: a row for each case, made from the records, and `cohort.json`, which says what its columns are (both as BIDS has them)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..disk import replace_durably
from .cases import Case, readable
from .place import Place, alone, obstacles_told
from .records import CaseRecord
from .statistics import Oddity, oddities

TABLE, COLUMNS = "cohort.tsv", "cohort.json"

WAITING = "waiting"

_SAID = {
    "case": {"Description": "Name of the case: the path of its image in the cohort, without a suffix"},
    "state": {
        "Description": "What became of it",
        "Levels": {
            "done": "It has labels",
            "flagged": "It has labels, which are doubted",
            "failed": "It has none; see failure",
            WAITING: "It has not been worked on",
        },
    },
    "image": {"Description": "Its image, from the folder of the cohort on"},
    "labels": {"Description": "The file of its labels, from the folder of this table on"},
    "outlier": {
        "Description": "Robust z-score, against all cases that have labels, of what is furthest from the others, a volume or the confidence"
    },
    "outlier_of": {"Description": "What that is"},
    "confidence": {"Description": "Mean probability that the network gives the class of what it labelled, from 0 to 1"},
    "seconds": {"Description": "From reading to the written labels", "Units": "s"},
    "warnings": {"Description": "Why its labels may not be true, one sentence each, separated by ' | '"},
    "failure": {"Description": "Why it has no labels"},
    "model": {"Description": "Name and version of the model"},
    "model_sha256": {"Description": "Of the model's weights"},
    "image_sha256": {"Description": "Of the image's voxels and where they are"},
}


@dataclass(frozen=True)
class Row:
    """A case and what became of it, None if nothing has yet."""

    case: Case
    record: CaseRecord | None


def rows_of(place: Place, cases: Iterable[Case]) -> list[Row]:
    """What became of each case.

    Raises:
        ObstacleError: if a record cannot be read.
    """
    return [Row(case, place.read(case)) for case in cases]


def write_table(place: Place, cases: Sequence[Case]) -> Path:
    """Write the table and what its columns mean; returns the table's path.

    Args:
        place: the folder for results.
        cases: a row each, in this order; those of other parts among them.

    Raises:
        OutputError: if they cannot be written.
    """
    path = place.folder / TABLE
    # Two parts that end at once: who reads the records last writes last.
    with (
        obstacles_told(place.folder),
        alone(place, "table", wait=600.0, otherwise=f"expected to write {path}, found others at it"),
    ):
        rows = rows_of(place, cases)
        columns, said = _columns(rows)
        odd = oddities([row.record for row in rows if row.record])
        lines = ["\t".join(columns), *("\t".join(_cells(row, columns, odd)) for row in rows)]
        replace_durably(place.folder / COLUMNS, (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode())
        replace_durably(path, ("\n".join(lines) + "\n").encode())
    return path


def _columns(rows: Sequence[Row]) -> tuple[list[str], dict[str, object]]:
    """The table's columns in their order, and what they mean: after the labels the volume of each class that a record tells of."""
    names = dict.fromkeys(volume.name for row in rows if row.record for volume in row.record.volumes)
    in_ml = {v.name for row in rows if row.record for v in row.record.volumes if v.ml is not None}
    volumes: dict[str, object] = {}
    for name in names:
        if name in in_ml:
            volumes[_cell(f"{name}_ml")] = {"Description": f"Volume of {name}", "Units": "ml"}
        volumes[_cell(f"{name}_voxels")] = {"Description": f"Voxels of {name}"}
    said: dict[str, object] = {}
    for column, meaning in _SAID.items():
        said[column] = meaning
        if column == "labels":
            said |= volumes
    return list(said), said


def _cells(row: Row, columns: Sequence[str], odd: Mapping[str, Oddity]) -> list[str]:
    case, record = row.case, row.record
    if record is None:
        known = {"case": readable(case.name), "state": WAITING, "image": case.source}
    else:
        known = {
            "case": record.case,
            "state": record.verdict,
            "image": record.image,
            "labels": record.labels,
            "confidence": "" if record.confidence is None else f"{record.confidence:.4f}",
            "seconds": f"{record.seconds:.2f}",
            "warnings": " | ".join(record.warnings),
            "failure": record.failure,
            "model": record.model,
            "model_sha256": record.model_sha256,
            "image_sha256": record.image_sha256,
        }
        if record.case in odd:
            known |= {"outlier": f"{odd[record.case].z:.2f}", "outlier_of": odd[record.case].what}
        for volume in record.volumes:
            known[_cell(f"{volume.name}_voxels")] = str(volume.voxels)
            known[_cell(f"{volume.name}_ml")] = "" if volume.ml is None else f"{volume.ml:.3f}"
    return [_cell(known.get(column, "")) or "n/a" for column in columns]


def _cell(text: str) -> str:
    """Text that breaks no row: tabs and line breaks become spaces."""
    return " ".join(text.split("\t")).replace("\r", " ").replace("\n", " ")
