"""A CT of 512x512x300 with a 14-class 3D model, time and memory by stage: `python benchmarks/ct.py`.

Each size runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import options, report  # isort: skip - puts the repository on the path
from results import table
from synthetic import CT, ct, ct_model

import ultralightunet as ulu
from ultralightunet.events import finish

SLICES = (75, 150, 300)


def child(found: argparse.Namespace) -> dict[str, Any]:
    """Segment one synthetic CT in this process."""
    image = ct((found.slices, *CT[1:]))
    with tempfile.TemporaryDirectory() as folder:
        request = ulu.Request(ct_model(Path(folder) / "model"), threads=found.threads)
        session = ulu.Session()
        began, cpu = time.perf_counter(), time.process_time()
        segmentation = finish(session.segment(image, request))
        seconds = time.perf_counter() - began
        written = time.perf_counter()
        segmentation.save(Path(folder) / "labels.nii.gz")
        stages = {**segmentation.facts["seconds"], "writing": time.perf_counter() - written}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "linux" else 1e9)
    windows, million = segmentation.facts["windows"], math.prod(segmentation.facts["window"]) / 1e6
    return {
        "seconds": seconds,
        "cpu": time.process_time() - cpu,
        "stages": stages,
        "peak": peak,
        "windows": windows,
        "million": windows * million,
    }


def main() -> None:
    found = options(__doc__ or "", repeats=5, add=lambda p: p.add_argument("--slices", type=int, help="this size alone, in this process"))
    if found.slices:
        print(json.dumps(child(found)))
        return
    rows, shares = [], []
    for slices in SLICES[:1] if found.quick else SLICES:
        command = [sys.executable, __file__, "--slices", str(slices), "--threads", str(found.threads), "--print-only"]
        # The largest is the one that counts; the others show how time grows.
        runs = [json.loads(subprocess.check_output(command)) for _ in range(found.repeats if slices == SLICES[-1] else 1)]
        stages = {name: statistics.median(r["stages"][name] for r in runs) for name in runs[0]["stages"]}
        seconds, windows, million = statistics.median(r["seconds"] for r in runs), runs[0]["windows"], runs[0]["million"]
        per_million = f"{seconds / million:.3f}"
        rows.append((slices, windows, f"{million:.1f}", f"{seconds:.1f}", per_million, f"{max(r['peak'] for r in runs):.2f}"))
        total = sum(stages.values())
        shares.append(f"{slices} slices: " + ", ".join(f"{name} {value:.1f} s ({value / total:.0%})" for name, value in stages.items()))
    head = ("slices of 512x512", "windows", "million voxels in them", "s", "s per million", "peak, GB")
    rows.append(("wanted", "", "", "", "the same", "at most 2"))
    report("A CT with 14 classes", "\n\n".join((table(head, rows), *shares, "No stage beside the network may take over a quarter.")), found)


if __name__ == "__main__":
    main()
