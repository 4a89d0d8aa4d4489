"""A trained network becomes a model folder: measured as its users will run it, with a note on where it came from."""

from __future__ import annotations

import datetime
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..events import Progress
from ..models import Model, write_model
from ..retraining.candidate import temporary_model
from ..retraining.scoring import Labeller, scores_against
from .dataset import Dataset, LabelledImage
from .wishes import Wishes

Weights = Mapping[str, "np.ndarray[Any, Any]"]


def split(data: Dataset, fewest: int) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Cases that train, and every fifth one, which validates; of less than `fewest` all train."""
    if len(data.cases) < fewest:
        return list(data.cases), []
    return [case for n, case in enumerate(data.cases) if n % 5], list(data.cases[::5])


def left_out_at_first(data: Dataset) -> list[LabelledImage]:
    """Of a few cases those that are learned from at the end only, so that there is an estimate: one of two to four, two of more."""
    count = len(data.cases)
    return [] if count < 2 else [data.cases[n] for n in ((0,) if count < 5 else (0, count // 2))]


def finished(
    model: Model,
    weights: Weights,
    data: Dataset,
    validate_on: Sequence[LabelledImage],
    wishes: Wishes,
    *,
    processes: int = 1,
    estimate: tuple[int, float] | None = None,
) -> Generator[Progress, None, Model]:
    """Measure the model on cases that it never saw, and write it.

    Args:
        model: its facts; `Model.folder` must not exist.
        weights: of the network.
        data: that it was trained on.
        validate_on: cases that it was not trained on.
        wishes: see `Wishes`.
        processes: that trained together.
        estimate: number of cases and mean Dice of a version that had not seen them yet, where no case was left out for good.
    """
    scores: dict[str, Any] = {}
    if estimate:
        scores["Dice on cases left out at first, an estimate"] = {"cases": estimate[0], "mean": round(estimate[1], 4)}
    if validate_on:
        with temporary_model(model, weights) as candidate:
            label, found = Labeller(candidate, threads=wishes.threads), []
            for done, case in enumerate(validate_on):
                yield Progress("Measuring", done, len(validate_on))
                image = case.image()
                found.append(scores_against(data.target(case, image), [label(image)])[0])
        scores["Dice on validation cases"] = {"cases": len(found), "mean": round(float(np.mean(found)), 4)}
    origin = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "dataset_sha256": data.sha256,
        "processes": processes,
        "seed": wishes.seed,
    }
    said = f"trained on {len(data.cases) - len(validate_on)} case(s) of its user, {len(validate_on)} validated"
    begun = f"They began as those of {model.parent}.\n" if model.parent else ""
    return write_model(
        model.folder,
        replace(model, scores=scores, origin=origin),
        weights,
        licence_text=f"Licence of these weights: {model.licence}\n{begun}",
        metadata={"data_source": said, "changelog": {model.version: said}},
    )
