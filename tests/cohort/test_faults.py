"""Whatever becomes of a scan, of the process that works on it, or of the disk: the others are done, and nothing is lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.cli.scans import noise
from tests.cohort.scans import record, run, scans, table
from tests.full_disk import full_disk
from tests.io_files import write_nii
from ultralightunet.cohort.warm_process import WarmProcess
from ultralightunet.disk import unfinished
from ultralightunet.errors import OutputError, UltraLightError
from ultralightunet.models import Model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals and limits")


@pytest.fixture
def markers(tmp_path: Path) -> Path:
    """Where the odd worker notes what it has begun."""
    (tmp_path / "markers").mkdir()
    return tmp_path / "markers"


def odd_worker(markers: Path, **options: object) -> WarmProcess:
    script = Path(__file__).with_name("odd_worker.py")
    return WarmProcess([sys.executable, "-X", "faulthandler", str(script), str(markers)], **options)  # type: ignore[arg-type]


def test_a_scan_that_ends_the_process_fails_and_the_others_are_done(tmp_path: Path, model: Model, markers: Path) -> None:
    root, out = scans(tmp_path / "in", "a", "ends it", "ends it once", "z"), tmp_path / "out"
    worker = odd_worker(markers)
    summary, ended = run(root, out, model, worker)
    worker.close()
    assert {entry.case: entry.state for entry in ended} == {"a": "done", "ends it": "failed", "ends it once": "done", "z": "done"}
    assert (summary.done, summary.failed) == (3, 1)
    assert record(out, "ends it")["failure"].startswith("expected labels, found that the process ended 3 times with the signal SIGSEGV; ")
    assert "Segmentation fault" in (out / "logs" / "ends it.log").read_text()


def test_a_scan_that_takes_too_long_fails_and_the_others_are_done(tmp_path: Path, model: Model, markers: Path) -> None:
    root, out = scans(tmp_path / "in", "a", "hangs", "z"), tmp_path / "out"
    # Time stands still but for the case that hangs, however busy the machine is.
    worker = odd_worker(
        markers, clock=lambda: 61.0 if (markers / "hangs").exists() and not (out / "labels" / "hangs.json").exists() else 0.0
    )
    summary, ended = run(root, out, model, worker, case_timeout=60)
    worker.close()
    assert [(entry.case, entry.state) for entry in ended] == [("a", "done"), ("hangs", "failed"), ("z", "done")]
    assert ended[1].failure.startswith("expected to be done within 60 s, found it at ")
    assert summary.failed == 1


def test_a_full_disk_ends_the_run_in_one_sentence_and_it_goes_on_later(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    run(root, out, model, process)
    write_nii(root / "b.nii", noise((40, 60, 60)))
    with full_disk(free=4000), pytest.raises(OutputError) as error:
        run(root, out, model)
    assert str(error.value).startswith(f"expected to write to {out}, found an obstacle: File too large; what is done is kept: free space")
    assert not (out / "labels" / "b.json").exists()
    summary, ended = run(root, out, model, process)
    assert ([entry.case for entry in ended], summary.done, summary.failed) == (["b"], 2, 0)
    assert {row["state"] for row in table(summary.table).values()} == {"done"}


def test_what_killed_processes_left_is_cleared_by_the_next_run(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out = scans(tmp_path / "in", "sub/a"), tmp_path / "out"
    run(root, out, model, process)
    left = [unfinished(folder) for folder in (out, out / "labels" / "sub", out / "pictures" / "sub")]
    for path in left:
        # The name of a process that has gone.
        path.with_name(path.name.replace(f"-{os.getpid()}-", "-999999999-")).write_bytes(b"half")
    write_nii(root / "sub" / "a.nii", noise(seed=9))
    run(root, out, model)
    assert list(out.rglob(".partial*")) == []


def test_a_process_that_never_comes_up_is_told_with_its_own_words(tmp_path: Path, model: Model) -> None:
    worker = WarmProcess([sys.executable, "-c", "raise SystemExit('no such library')"])
    with pytest.raises(UltraLightError, match=r"found that it ended at once with the exit code 1 \(no such library\)"):
        run(scans(tmp_path / "in", "a"), tmp_path / "out", model, worker)
