"""A whole head (Colin27, 181x217x181 at 1 mm), cold from the shell and warm, and deepbet on it: `python benchmarks/whole_head.py`.

deepbet gets a folder of its own in the user's cache, filled on the first run with pip; without a package index it is left out. Where its
masks and ours agree is measured on Colin27 and on the two tumour MRIs, whose contrasts it was not made for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import ROOT, options, report  # isort: skip - puts the repository on the path
import numpy as np
import outside
import SimpleITK as sitk
from results import table

import ultralightunet as ulu
from ultralightunet.events import finish
from ultralightunet.io import read_image
from ultralightunet.metrics import dice

HEAD = ROOT / "sample_data" / "colin27_t1.nii.gz"
MASK = ROOT / "sample_data" / "colin27_brain_mask.nii.gz"
TUMOURS = tuple(ROOT / "sample_data" / f"tumour_mri_{number}.nrrd" for number in (1, 2))


@dataclass(frozen=True)
class Run:
    """One process, from its start to its end: seconds, megabytes at its peak, what it printed."""

    wall: float
    cpu: float
    peak: float
    output: str


def measured(command: list[str]) -> Run:
    """Run a command and look at what it used."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {errors.read()[-300:]}")
        # Linux counts kilobytes, macOS bytes.
        return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1e3 if sys.platform == "linux" else 1e6), output.read())


def cold(model: str, folder: Path, found: argparse.Namespace) -> tuple[list[Run], list[dict[str, Any]]]:
    """From the shell to a written file, several times, and what each run said of itself."""
    command = [sys.executable, "-m", "ultralightunet", "segment", str(HEAD), "-o", str(folder / f"{model}.nii.gz"), "--model", model]
    runs = [measured([*command, "--threads", str(found.threads), "--json"]) for _ in range(found.repeats)]
    return runs, [json.loads(run.output.splitlines()[-1]) for run in runs]


def warm(model: ulu.Model, found: argparse.Namespace) -> list[float]:
    """The second and later clicks in one process, the image being loaded."""
    image, session, seconds = read_image(HEAD), ulu.Session(), []
    for _ in range(found.repeats + 1):
        began = time.perf_counter()
        finish(session.segment(image, ulu.Request(model, threads=found.threads)))
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def deepbet(site: Path, folder: Path, found: argparse.Namespace) -> tuple[list[Run], np.ndarray]:
    """deepbet from the shell to a written mask."""
    target = folder / "deepbet.nii.gz"
    runs = [measured(outside.command(site, [HEAD], [target], found.threads)) for _ in range(found.repeats)]
    return runs, read_image(target).array > 0


def agreement(site: Path, model: ulu.Model, folder: Path, found: argparse.Namespace) -> str:
    """A table of the Dice of our brain, with and without the fluid around it, with deepbet's mask."""
    images = [HEAD]
    for path in TUMOURS:
        # deepbet reads NIfTI only.
        images.append(folder / f"{path.stem}.nii.gz")
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32), str(images[-1]))
    masks = [folder / f"deepbet-{number}.nii.gz" for number in range(len(images))]
    measured(outside.command(site, images, masks, found.threads))
    rows = []
    for image, mask in zip(images, masks, strict=True):
        labels, theirs = ulu.segment(image, model, threads=found.threads).labels, read_image(mask).array > 0
        rows.append((image.name.split(".")[0], f"{dice(labels == 1, theirs):.3f}", f"{dice(labels > 0, theirs):.3f}"))
    return table(("Dice with deepbet's mask", "brain", "brain and fluid"), rows)


def million_voxels(model: ulu.Model, shape: tuple[int, ...]) -> float:
    """Of the network's own grid, at 1 mm."""
    return float(np.prod([n / s for n, s in zip(shape, model.spacing or (1, 1, 1), strict=True)])) / 1e6


def main() -> None:
    found = options(__doc__ or "", repeats=5)
    reference, rows, stages = read_image(MASK).array > 0, [], []
    models = [m for m in ulu.list_models() if m.name in ("brain", "brain-anatomy")]
    head = ("", "cold, s", "starting and loading, s", "warm, s", "cold, CPU s", "peak, MB", "s per million voxels", "Dice with `ch2bet`")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for model in models:
            runs, facts = cold(model.name, folder, found)
            seconds = [f["seconds"] for f in facts]
            later = statistics.median(warm(model, found))
            labels = read_image(folder / f"{model.name}.nii.gz").array
            mask = labels == 1 if model.name == "brain" else (labels > 0) & (labels < 16)
            total = statistics.median(r.wall for r in runs)
            # Imports and compiling run side by side with other work: what a second click does not pay for any more.
            files = statistics.median(s["reading"] + s["writing"] for s in seconds)
            loading = total - files - later
            rows.append(
                (
                    model.id,
                    f"{total:.2f}",
                    f"{loading:.2f}",
                    f"{later:.2f}",
                    f"{statistics.median(r.cpu for r in runs):.2f}",
                    f"{max(r.peak for r in runs):.0f}",
                    f"{later / million_voxels(model, labels.shape):.2f}",
                    f"{dice(mask, reference):.3f}",
                )
            )
            medians = {name: statistics.median(s.get(name, 0.0) for s in seconds) for name in seconds[0]}
            stages.append(f"{model.id}: " + ", ".join(f"{name} {value:.2f} s" for name, value in medians.items()))
        site = outside.installed()
        if isinstance(site, Path):
            runs, mask = deepbet(site, folder, found)
            times = (f"{statistics.median(r.wall for r in runs):.2f}", "", "", f"{statistics.median(r.cpu for r in runs):.2f}")
            rows.append((outside.DEEPBET, *times, f"{max(r.peak for r in runs):.0f}", "", f"{dice(mask, reference):.3f}"))
            stages.append(agreement(site, next(m for m in models if m.name == "brain"), folder, found))
        else:
            stages.append(f"deepbet was left out: {site}")
    rows.append(("wanted", "at most 3", "at most 1", "at most 1.5", "", "at most 1000", "", ""))
    text = f"Medians of {found.repeats} runs. Cold is from the shell to a written label file.\n\n{table(head, rows)}"
    report("A whole head", "\n\n".join((text, *stages)), found)


if __name__ == "__main__":
    main()
