"""The module on Slicer's own Python sources, where a checkout of them is at hand (SLICER_SRC) and the harness lies beside this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_module_works_on_slicers_own_sources(shared: Path, root: Path, tmp_path: Path) -> None:
    harness = shared / "slicer_harness"
    sources = os.environ.get("SLICER_SRC", "")
    if not harness.is_dir() or not (Path(sources) / "Base/Python/slicer/parameterNodeWrapper").is_dir():
        pytest.skip("needs the environment variable SLICER_SRC, a folder that holds Slicer's Base/Python")
    script = Path(__file__).with_name("drive.py")
    # The harness may want a Qt of its own.
    python = os.environ.get("SLICER_HARNESS_PYTHON", sys.executable)
    done = subprocess.run([python, str(script), str(harness), str(root)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "cleaned up" in done.stdout
