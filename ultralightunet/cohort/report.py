"""One HTML file that shows a cohort: it opens from anywhere, loads nothing, and without JavaScript it is a plain table."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..disk import unfinished
from ..errors import UltraLightError
from ..io import read_image, read_labels
from .cases import Case, readable
from .finding import Plan
from .pictures import picture_of
from .place import Place, obstacles_told
from .ratings import Rating
from .recipe import Recipe
from .records import DONE, CaseRecord
from .statistics import OUTLIER, Oddity, histograms, oddities
from .table import WAITING, Row, rows_of

REPORT = "report.html"

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Shown:
    """A case as the report shows it.

    Attributes:
        name: of the case.
        state: "done", "flagged", "failed" or "waiting".
        record: what became of it, None for one that waits.
        picture: a data URI, "" where there is none.
        before: the picture of another run, "" where there is none.
        oddity: in what it differs most from the others, None if there are too few.
        rating: what a person said of it, None if nothing.
    """

    name: str
    state: str
    record: CaseRecord | None
    picture: str
    before: str
    oddity: Oddity | None
    rating: Rating | None

    @property
    def is_outlier(self) -> bool:
        """Whether it differs so much that a person should look."""
        return self.oddity is not None and abs(self.oddity.z) >= OUTLIER


def write_report(
    plan: Plan,
    place: Place,
    recipe: Recipe,
    *,
    title: str = "",
    ratings: Mapping[str, Rating] | None = None,
    before: Place | None = None,
    name: str = REPORT,
) -> Path:
    """Write the report of a cohort; returns its path.

    Pictures are those that were made with the labels; one that is missing, or older than its labels, which somebody may have corrected, is
    made anew.

    Args:
        plan: the cases.
        place: the folder for results.
        recipe: how they were made.
        title: shown on top.
        ratings: by case, to begin with.
        before: the results of an earlier run, shown beside these.
        name: of the file.

    Raises:
        OutputError: if it cannot be written.

    Example:
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import Recipe, open_place, plan_cohort, run_cohort, write_report
        >>> from ultralightunet.events import finish
        >>> model = ulu.load_model("hippocampus")
        >>> plan, recipe = plan_cohort("sample_data", model, output="results", match=["*hippocampus_left*"]), Recipe.of(model)
        >>> summary = finish(run_cohort(plan, "results", recipe))
        >>> write_report(plan, open_place("results", recipe), recipe).name
        'report.html'
    """
    # Imported where it is needed: a run without a report does without it.
    import jinja2

    rows = rows_of(place, plan.cases)
    records = [row.record for row in rows if row.record]
    odd = oddities(records)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    classes = list(dict.fromkeys(volume.name for record in records for volume in record.volumes))

    def shown() -> Iterator[Shown]:
        for row in rows:
            record = row.record
            name = record.case if record else readable(row.case.name)
            yield Shown(
                name,
                record.verdict if record else WAITING,
                record,
                _picture(row.case, record, place, recipe),
                "" if before is None else _picture(row.case, before.read(row.case), before, recipe),
                odd.get(name),
                (ratings or {}).get(name),
            )

    def doubtful_first(row: Row) -> tuple[int, float]:
        record = row.record
        order = ("failed", "flagged", "done", WAITING).index(record.verdict if record else WAITING)
        return order, -abs(odd[record.case].z) if record and record.case in odd else 0.0

    rows.sort(key=doubtful_first)
    states = [row.record.verdict if row.record else WAITING for row in rows]
    facts: dict[str, Any] = {
        "title": title or plan.root.resolve().name,
        "model": recipe.model,
        "count": {state: states.count(state) for state in ("done", "flagged", "failed", WAITING)},
        "outliers": sum(abs(entry.z) >= OUTLIER for entry in odd.values()),
        "threshold": OUTLIER,
        "classes": classes,
        "histograms": histograms(records)[:40],
        "cases": shown(),
        "has_before": before is not None,
        "key": hashlib.sha256(f"{recipe.key} {readable(str(place.folder.resolve()))}".encode()).hexdigest()[:16],
        "style": (_TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    path = place.folder / name
    with obstacles_told(place.folder):
        # Piece by piece, because a report of thousands of pictures is large.
        beside = unfinished(place.folder)
        try:
            with beside.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(environment.get_template("report.html").generate(**facts))
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return path


def _picture(case: Case, record: CaseRecord | None, place: Place, recipe: Recipe) -> str:
    if record is None or record.state != DONE:
        return ""
    path = place.picture(case)
    labels = place.labels_of(case, record)
    try:
        if not path.exists() or (labels.exists() and labels.stat().st_mtime > path.stat().st_mtime + 1):
            image = read_image(case.image, volume_index=recipe.volume_index, series=case.series or None)
            place.keep_picture(case, picture_of(image, replace(read_labels(labels), classes=recipe.request().model.classes)))
        return f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"
    except (OSError, UltraLightError):
        # The image may have gone by now; the table is worth having all the same.
        return ""
