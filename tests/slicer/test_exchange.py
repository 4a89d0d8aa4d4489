"""The folder through which images travel to the process beside Slicer: none of them stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from UltraLightSegmenterLib.exchange import Exchange


def test_a_closed_module_leaves_no_file(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write(exchange.path("image"), np.zeros(3))
    assert len(list(tmp_path.rglob("*.npy"))) == 1
    exchange.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="only there it can be asked whether a process is alive")
def test_the_images_of_a_slicer_that_was_killed_are_removed_by_the_next_and_nobody_elses(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left, mine = tmp_path / f"ultralight-slicer-{gone.pid}-abc", tmp_path / f"ultralight-slicer-{os.getpid()}-abc"
    others = [tmp_path / "ultralight-slicer-notes-1", tmp_path / f"ultralight-{gone.pid}-abc"]
    for folder in (left, mine, *others):
        folder.mkdir()
        (folder / "image-1.npy").write_bytes(b"a patient")
    exchange = Exchange(tmp_path)
    exchange.path("image")
    assert not left.exists()
    assert all((folder / "image-1.npy").exists() for folder in (mine, *others))
    exchange.close()
