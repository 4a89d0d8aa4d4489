"""What the Slicer module adds to the segmentation itself: from a volume node to a segmentation node, the first and further clicks.

    python benchmarks/slicer_overhead.py [--repeats 5]

A volume of 256x256x180 voxels (int16), the shipped model `brain`, Slicer's own MRML (slicer-core). "Added" is the time from the click
to the segmentation node, less the seconds that the core itself took for checking, preparing, network and labels, and finishing. The first
click of a process also pays for its start, for loading OpenVINO and for building the network; the panel starts it when it is shown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.slicer.conftest import Answers, add_volume, new_worker  # noqa: E402 - makes `import slicer` behave as in Slicer

SHAPE = (180, 256, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="of further clicks, and of first clicks")
    options = parser.parse_args()
    firsts, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repeats):
            logic = make_logic(Path(folder))
            volume = add_volume(head())
            firsts.append(click(logic, volume))
            seconds.append(click(logic, volume))
            logic.close()
    for name, clicks in (("first click", firsts), ("second click", seconds)):
        total, core, added = (statistics.median(values) for values in zip(*clicks, strict=True))
        spread = ", ".join(f"{entry[2]:.3f}" for entry in clicks)
        print(f"{name}: median of {len(clicks)}: total {total:.3f} s, core {core:.3f} s, added {added:.3f} s (each: {spread})")


def make_logic(folder: Path) -> Any:
    from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic

    return UltraLightSegmenterLogic(new_worker(), new_worker(), folder=folder)


def head() -> Any:
    """The sample head in the middle of a larger grid."""
    from ultralightunet.io import read_image

    found = read_image(ROOT / "sample_data" / "colin27_t1.nii.gz").array
    array = np.zeros(SHAPE, np.int16)
    array[:, :217, :181] = found[:180]
    return array


def click(logic: Any, volume: Any) -> tuple[float, float, float]:
    """Seconds from the click to the node, those of the core, and the difference."""
    answers = Answers()
    began = time.perf_counter()
    logic.segment(volume, answers.listener, model="brain")
    answers.wait(logic.poll)
    total = time.perf_counter() - began
    core = sum(answers.results[0]["facts"]["seconds"].values())
    return total, core, total - core


if __name__ == "__main__":
    main()
