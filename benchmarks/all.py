"""Runs the benchmarks of speed in turn and so writes their sections of RESULTS.md anew: `python benchmarks/all.py`, on a quiet machine.

Not among them, for what they need: `accuracy.py` and `retraining.py` (training data, hours), `new_task.py` and `few.py` (minutes),
`exported.py` (no speed), `cohort_report.py` (Chromium), `saving.py` and `pauses.py` (a display) and `slicer_overhead.py` (Slicer's own
MRML).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

SPEED = ("patch.py", "slice.py", "whole_head.py", "ct.py", "scaling.py", "training_speed.py", "store.py", "cohort.py")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--quick", action="store_true", help="see that each works; writes nothing down")
    found = parser.parse_args()
    failed = []
    for name in SPEED:
        print(f"== {name}", flush=True)
        extra = ["--quick"] if found.quick else []
        command = [sys.executable, str(Path(__file__).parent / name), "--threads", str(found.threads), *extra]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
