"""What a new version's metadata keep of how it was made, and of what was measured."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from .outcome import Comparison, Decision, Drift
from .selection import Selection


def measured(holdout: Comparison | None, estimate: Comparison | None, exemplars: Comparison | None, drift: Drift | None) -> dict[str, Any]:
    """Figures of the new version; the parent's scores were measured on other weights."""
    compared = {
        "Dice on held-out corrections": holdout,
        "Dice by cross-validation, an estimate": estimate,
        "Dice on labelled images from before": exemplars,
    }
    found: dict[str, Any] = {
        name: {"cases": each.cases, "mean": round(each.candidate, 4), "parent": round(each.parent, 4)}
        for name, each in compared.items()
        if each is not None
    }
    if drift is not None:
        found["Agreement with the parent on other images"] = {"images": drift.images, "mean": round(drift.agreement, 4)}
    return found


def origin_of(selection: Selection, decision: Decision, asked: Mapping[str, Any]) -> dict[str, Any]:
    """See `Model.origin`."""
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "decision": decision,
        "cases": [
            {
                "case": revision.case,
                "revision": revision.number,
                "use": use,
                "image_sha256": revision.image_sha256,
                "labels_sha256": revision.content["labels"],
                "checked_sha256": revision.content.get("checked", ""),
            }
            for use, revisions in (("train", selection.train), ("holdout", selection.holdout))
            for revision in revisions
        ],
        **asked,
    }
