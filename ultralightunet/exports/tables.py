"""What the labels mean, as a table that people and BIDS tools read."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import LabelClass


def class_table(classes: Sequence[LabelClass]) -> bytes:
    """Tab-separated: index, name, colour as #rrggbb, SNOMED CT code or n/a (BIDS, "Common image-derived labels")."""
    lines = ["index\tname\tcolor\tsnomed"]
    for entry in classes:
        red, green, blue = entry.color
        name = " ".join(entry.name.split())
        lines.append(f"{entry.index}\t{name}\t#{red:02x}{green:02x}{blue:02x}\t{entry.snomed or 'n/a'}")
    return ("\n".join(lines) + "\n").encode()
