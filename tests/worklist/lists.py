"""Images of noise, lists of them, and a clock that the test turns."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.io_files import random_affine, write_nii
from ultralightunet.cohort import CaseRecord, ClassVolume
from ultralightunet.cohort.records import write_record
from ultralightunet.worklist import Worklist, create_worklist

SHAPE = (4, 6, 8)


@dataclass
class Clock:
    """Shows what the test says."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def image(path: Path, seed: int | None = None) -> Path:
    """A small image that lies obliquely; another one for each name, unless a seed is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(path.name.encode()) if seed is None else seed)
    return write_nii(path, random.normal(0, 50, SHAPE).astype(np.float32), random_affine(np.random.default_rng(5)))


def labels(path: Path, last: int = 3, label: int = 1) -> Path:
    """Labels on every such image: a block up to a row."""
    array = np.zeros(SHAPE, np.uint8)
    array[1:3, 1 : 1 + last, 2:6] = label
    return write_nii(path, array, random_affine(np.random.default_rng(5)))


def listed(folder: Path, *names: str, **rules: Any) -> Worklist:
    """A list in `folder / "list"` of images of these names in `folder / "images"`."""
    for name in names:
        image(folder / "images" / f"{name}.nii")
    rules.setdefault("order", "listed")
    clock = rules.pop("clock", Clock())
    create_worklist(folder / "list", folder / "images", **rules)
    return Worklist(folder / "list", clock=clock)


def results(folder: Path, confidences: dict[str, float | None], *, voxels: dict[str, int] | None = None) -> Path:
    """What a run over a cohort leaves, with a confidence for each case; None for one that failed."""
    out = folder / "results"
    for name, confidence in confidences.items():
        path = image(folder / "images" / f"{name}.nii")
        facts: dict[str, Any] = {"failure": "expected a NIfTI image, found none"}
        if confidence is not None:
            (out / "labels").mkdir(parents=True, exist_ok=True)
            labels(out / "labels" / f"{name}.nii.gz")
            amount = (voxels or {}).get(name, 100)
            facts = {"labels": f"labels/{name}.nii.gz", "confidence": confidence, "volumes": (ClassVolume(1, "liver", amount),)}
        record = CaseRecord(name, "failed" if confidence is None else "done", path.name, model="abdomen@1.0.0", **facts)
        write_record(out / "labels" / f"{name}.json", record, within=out)
    (out / "run.json").write_text(f'{{"schema": 1, "key": "k", "input": "{(folder / "images").resolve().as_posix()}"}}')
    return out


def states(worklist: Worklist) -> dict[str, str]:
    return {case.name: case.state for case in worklist.cases()}
