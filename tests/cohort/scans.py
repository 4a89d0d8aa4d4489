"""A cohort of noise, and what a run makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.cli.scans import noise
from tests.io_files import write_nii
from ultralightunet.cohort import CaseRecord, OneProcess, Recipe, Summary, plan_cohort, run_cohort
from ultralightunet.cohort.run import CaseEnded
from ultralightunet.cohort.warm_process import WarmProcess
from ultralightunet.events import finish
from ultralightunet.models import Model


def scans(folder: Path, *names: str) -> Path:
    """A folder with a scan of each name, each with other voxels."""
    for name in names:
        path = folder / f"{name}.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nii(path, noise(seed=sum(name.encode("utf-8", "surrogateescape"))))
    return folder


def run(
    root: Path, out: Path, model: Model, process: WarmProcess | None = None, *, match: tuple[str, ...] = (), **options: Any
) -> tuple[Summary, list[CaseRecord]]:
    """What a run came to, and the cases that it worked on."""
    ended: list[CaseRecord] = []

    def note(event: Any) -> None:
        if isinstance(event, CaseEnded):
            ended.append(event.record)

    told = {name: options.pop(name) for name in ("shard", "retry_failed", "case_timeout") if name in options}
    plan = plan_cohort(root, model, output=out, match=match)
    recipe = Recipe.of(model, threads=1, **options)
    return finish(run_cohort(plan, out, recipe, runner=OneProcess(process) if process else None, **told), note), ended


def table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of `cohort.tsv` by case."""
    head, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def record(out: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "labels" / f"{name}.json").read_text())
    return found


def voxels(path: Path) -> np.ndarray:
    from ultralightunet.io import read_image

    return read_image(path).array
