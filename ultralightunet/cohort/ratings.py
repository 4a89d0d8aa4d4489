"""What a person said of cases in the report: a table that the report downloads, and that is read here."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

GOOD, TO_FIX, BAD = "good", "to fix", "bad"

RATINGS = (GOOD, TO_FIX, BAD)


@dataclass(frozen=True)
class Rating:
    """What a person said of a case.

    Attributes:
        rating: "good", "to fix", "bad", or "" where there is a note only.
        note: in their words.

    Example:
        >>> from ultralightunet.cohort import Rating
        >>> Rating("to fix", "left side is missing").rating
        'to fix'
    """

    rating: str
    note: str = ""


def read_ratings(path: str | Path) -> dict[str, Rating]:
    r"""The ratings of a table with the columns `case` and `rating`, and `note` if there is one, by case.

    Raises:
        InputError: if there is no such table, or a rating is none of those that there are.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet.cohort import read_ratings
        >>> Path("ratings.tsv").write_text("case\trating\tnote\nsub-01/T1\tto fix\tleft side\n")
        44
        >>> read_ratings("ratings.tsv")
        {'sub-01/T1': Rating(rating='to fix', note='left side')}
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected a table of ratings, as the report downloads it, found {path}: {error}") from error
    table = csv.DictReader([line.rstrip("\r") for line in lines if line.strip()], delimiter="\t", quoting=csv.QUOTE_NONE)
    if not {"case", "rating"} <= set(table.fieldnames or ()):
        found = ", ".join(table.fieldnames or ()) or "nothing"
        raise InputError(f"expected a table with the columns case and rating, found {found} in {path}; download it from the report again")
    ratings = {}
    for row in table:
        rating = (row["rating"] or "").strip().replace("n/a", "")
        if rating and rating not in RATINGS:
            raise InputError(f"expected a rating {', '.join(RATINGS)}, found {rating!r} for {row['case']} in {path}; correct it there")
        note = (row.get("note") or "").strip()
        ratings[row["case"]] = Rating(rating, "" if note == "n/a" else note)
    return ratings
