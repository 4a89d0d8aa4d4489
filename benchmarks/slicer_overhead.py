"""What the Slicer module adds to the segmentation itself: `python benchmarks/slicer_overhead.py`.

A volume node of 256x256x180 voxels (int16) with the sample head in its middle, the shipped model `brain`, Slicer's own MRML
(slicer-core). "Added" is the time from the click to the segmentation node, less the seconds that the core took in between for checking,
preparing, network, labels and finishing. As in the module, the process beside Slicer is started when the panel is shown; the first click
still pays for loading OpenVINO and building the network, and its figure holds that.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from measuring import ROOT, options, report  # isort: skip - puts the repository on the path
from results import table  # isort: skip

from tests.slicer.conftest import Answers, add_volume, new_worker  # isort: skip - makes `import slicer` behave as in Slicer
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic  # isort: skip
from ultralightunet.io import read_image  # isort: skip

SHAPE = (180, 256, 256)
WANTED = {"first": "at most 1 s", "second": "at most 0.3 s"}

Click = tuple[float, float, float]
"""Seconds from the click to the node, those of the core, and the difference."""


def main() -> None:
    """Measure, print and write down."""
    found = options(__doc__ or "", repeats=5)
    clicks: dict[str, list[Click]] = {name: [] for name in WANTED}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(found.repeats):
            logic = UltraLightSegmenterLogic(new_worker(), new_worker(), folder=Path(folder))
            shown = Answers()
            logic.list_models(shown.listener)
            shown.wait(logic.poll)
            volume = add_volume(head())
            for name in clicks:
                clicks[name].append(click(logic, volume, threads=found.threads))
            logic.close()
    rows = [row(name, taken) for name, taken in clicks.items()]
    head_row = ("click", "from click to node, s", "core, s", "added, s", "lowest to highest, s", "wanted of added")
    text = f"A volume of 256x256x180 voxels, model brain, medians of {found.repeats} processes.\n\n{table(head_row, rows)}"
    report("What the Slicer module adds", text, found, f"slicer-core {version('slicer-core')}", f"openvino {version('openvino')}")


def row(name: str, taken: Sequence[Click]) -> tuple[str, ...]:
    """One line of the table."""
    added = [entry[2] for entry in taken]
    medians = [f"{median(values):.2f}" for values in zip(*taken, strict=True)]
    return name, *medians, f"{min(added):.2f} to {max(added):.2f}", WANTED[name]


def head() -> Any:
    """The sample head in a larger grid."""
    found = read_image(ROOT / "sample_data" / "colin27_t1.nii.gz").array
    array = np.zeros(SHAPE, np.int16)
    array[:, :217, :181] = found[:180]
    return array


def click(logic: UltraLightSegmenterLogic, volume: Any, *, threads: int) -> Click:
    """Segment once."""
    answers = Answers()
    began = time.perf_counter()
    logic.segment(volume, answers.listener, model="brain", threads=threads)
    answers.wait(logic.poll)
    total = time.perf_counter() - began
    core = sum(answers.results[0]["facts"]["seconds"].values())
    return total, core, total - core


if __name__ == "__main__":
    main()
