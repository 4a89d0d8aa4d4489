"""Workers and commands that are killed at random moments: nothing is lost, nothing is done twice, and no file is half there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cohort.killing import Killed, make_scans
from tests.cohort.scans import record, run, voxels
from ultralightunet.cohort.warm_process import WarmProcess
from ultralightunet.models import Model


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes that a process started in /proc")
def test_whoever_is_killed_the_cohort_is_done_once_and_as_by_one_process(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root = make_scans(tmp_path / "in", 24)
    cohort = Killed(root, tmp_path / "out", model.folder)
    cohort.run(workers=3, commands=2)
    # On a busy machine some may have come to their end before they could be killed.
    assert cohort.workers + cohort.commands >= 1
    run(root, tmp_path / "one", model, process)
    expected = {path.name for path in (tmp_path / "one" / "labels").iterdir()}
    assert {path.name for path in (cohort.out / "labels").iterdir()} == expected
    for path in sorted(root.iterdir()):
        told, alone = record(cohort.out, path.stem), record(tmp_path / "one", path.stem)
        assert {**told, "seconds": 0} == {**alone, "seconds": 0}
        np.testing.assert_array_equal(voxels(cohort.out / told["labels"]), voxels(tmp_path / "one" / alone["labels"]))
    assert len(cohort.told()) == len(set(cohort.told()))
    assert not (cohort.out / "earlier").exists()
    assert list(cohort.out.rglob(".partial*")) == []
