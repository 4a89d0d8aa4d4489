"""The workers of a cluster do the same, each case once, and a lost worker's cases are done by others."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ultralightunet as ulu
from tests.cohort.scans import run, scans, table, voxels
from tests.command import Command, sentence
from ultralightunet.cohort import CaseEnded, DaskCluster, Recipe, plan_cohort, run_cohort
from ultralightunet.models import Model

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two workers, as somebody else may have started them."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=50) as found:
        yield found


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_lost_workers_cases_are_done_by_others(tmp_path: Path, model: Model, cluster: Any) -> None:
    root, out = scans(tmp_path / "in", *(f"scan {n}" for n in range(12))), tmp_path / "out"
    (root / "bad.nii").write_bytes(b"no image")
    plan = plan_cohort(root, model, output=out)
    ended: list[str] = []
    for event in run_cohort(plan, out, Recipe.of(model, threads=1), runner=DaskCluster(cluster.scheduler_address)):
        if isinstance(event, CaseEnded):
            ended.append(event.record.case)
            if len(ended) == 2:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    assert sorted(ended) == [case.name for case in plan.cases]
    states = {name: row["state"] for name, row in table(out / "cohort.tsv").items()}
    assert states == {case.name: "failed" if case.name == "bad" else "done" for case in plan.cases}
    for case in plan.cases[1:4]:
        np.testing.assert_array_equal(voxels(out / "labels" / f"{case.name}.nii.gz"), ulu.segment(case.image, model).labels)
    assert run(root, out, model)[1] == []


def test_local_workers_from_the_command_line(tmp_path: Path, ultralight: Command, model: Model) -> None:
    root, out = scans(tmp_path / "in", "a", "b"), tmp_path / "out"
    done = ultralight("cohort", root, out, "--model", model.folder, "--dask", "local", "--workers", 1)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == f"2 done, 0 of them flagged, 0 failed: {out / 'cohort.tsv'}"


def test_a_scheduler_that_is_not_there_is_one_sentence(
    tmp_path: Path, ultralight: Command, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ultralightunet.cohort.on_dask._PATIENCE", 1.0)
    root = scans(tmp_path / "in", "a")
    done = ultralight("cohort", root, tmp_path / "out", "--model", model.folder, "--dask", "tcp://127.0.0.1:9")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "expected a Dask scheduler at tcp://127.0.0.1:9, found none (" in done.err
    assert "expected --workers from 1 on" in sentence(ultralight("cohort", root, tmp_path / "out", "--workers", 2))


def test_a_scheduler_without_workers_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr("ultralightunet.cohort.on_dask._PATIENCE", 1.0)
    with (
        LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as empty,
        pytest.raises(ulu.InputError, match="found none; start some"),
    ):
        DaskCluster(empty.scheduler_address)


def test_workers_of_another_version_are_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ultralightunet.__version__", "99.0.0")
    with pytest.raises(ulu.InputError, match=r"expected workers with UltraLight 99.0.0, found \d+\.\d+\.\d+ at "):
        DaskCluster(cluster.scheduler_address)
