"""`ultralight` as a process of its own: signals, full disks, terminals, the version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ultralightunet as ulu
from tests.cli.scans import everything_in, noise
from tests.command import Command
from tests.io_files import write_nii
from tests.waiting import PATIENCE, until
from ultralightunet.cli import main
from ultralightunet.cli.progress import ProgressBar
from ultralightunet.events import Progress
from ultralightunet.models import Model

# ---- as a process of its own


def process(*arguments: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ultralightunet", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, text=True, cwd=cwd, env=environment, **pipes)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_stops_within_a_window_and_leaves_nothing_half_written(tmp_path: Path, model: Model) -> None:
    write_nii(tmp_path / "scan.nii", noise((120, 120, 120)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.nii.gz").write_bytes(b"labels of yesterday")
    arguments = ("segment", "scan.nii", "-o", "out/labels.nii.gz", "--model", model.folder, "--step", "0.25", "--json")

    # What a shell starts in the background ignores Ctrl-C, and so do its children.
    def windows() -> tuple[int, int]:
        whole = [line for line in (tmp_path / "said").read_text().splitlines(keepends=True) if line.endswith("\n")]
        last = json.loads(whole[-1]) if whole else {"done": 0, "total": 0}
        return last["done"], last["total"]

    with (tmp_path / "said").open("w") as said:
        job = process(*arguments, cwd=tmp_path, stdout=said, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        until(lambda: windows()[0] >= 3)
        # It stands still while it is counted how far it had come, however busy the machine is.
        job.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, job.pid, os.WSTOPPED | os.WNOWAIT)
        before, total = windows()
        job.send_signal(signal.SIGINT)
        job.send_signal(signal.SIGCONT)
        _, err = job.communicate(timeout=PATIENCE)
    assert (job.returncode, err) == (130, "ultralight: cancelled\n")
    assert total == 12**3
    assert windows()[0] <= before + 1, "it went on"
    assert everything_in(tmp_path / "out") == {"labels.nii.gz": b"labels of yesterday"}


def test_a_full_disk_is_one_sentence_and_an_exit_code(tmp_path: Path, model: Model) -> None:
    resource = pytest.importorskip("resource")
    write_nii(tmp_path / "scan.nii.gz", noise())
    (tmp_path / "labels.nii").write_bytes(b"labels of yesterday")
    before = everything_in(tmp_path)
    arguments = ("segment", "scan.nii.gz", "-o", "labels.nii", "--model", model.folder)
    job = process(*arguments, cwd=tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)))
    out, err = job.communicate(timeout=PATIENCE)
    assert (job.returncode, out) == (1, "")
    assert err.startswith("ultralight: expected to write labels.nii, found an obstacle: File too large")
    assert err.count("\n") == 1
    assert everything_in(tmp_path) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_sentence_too(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        job = process("models", "--json", cwd=tmp_path, stdout=full)
        _, err = job.communicate(timeout=PATIENCE)
    assert job.returncode == 1
    assert err.startswith("ultralight: ")
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_names_that_no_terminal_can_show_are_no_obstacle(tmp_path: Path, model: Model) -> None:
    names = [os.fsdecode(b"scan \xff \xc3\xa4.nii.gz"), os.fsdecode(b"labels \xff.nii.gz")]
    write_nii(tmp_path / "scan.nii.gz", noise()).rename(tmp_path / names[0])
    job = process("segment", names[0], "-o", names[1], "--model", model.folder, cwd=tmp_path)
    out, err = job.communicate(timeout=PATIENCE)
    assert (job.returncode, err) == (0, "")
    assert "part 1" in out
    assert (tmp_path / names[1]).exists()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"ultralight {ulu.__version__}\n"


# ---- the progress bar


def test_a_bar_shows_each_stage_on_a_terminal_and_goes_away(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = ProgressBar("scan.nii.gz")
    for event in (Progress("Preparing", 0, 1), Progress("Segmenting", 0, 4), Progress("Segmenting", 2, 4), Progress("Segmenting", 4, 4)):
        bar(event)
    bar.close()
    shown = capsys.readouterr().err
    assert "scan.nii.gz: Preparing" in shown
    assert "scan.nii.gz: Segmenting" in shown
    assert shown.endswith("\r")


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_fault_of_ours_is_one_sentence_unless_its_traceback_is_asked_for(
    ultralight: Command, monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setenv("ULTRALIGHT_DEBUG", debug)
    monkeypatch.setattr("ultralightunet.cli.models.list_models", faulty)
    done = ultralight("models")
    assert done.code == 1
    first, *rest = done.err.splitlines()
    assert first.startswith(
        "ultralight: expected to come to an end, found a fault in UltraLight (ZeroDivisionError: division by zero, at test_process"
    )
    assert ("Traceback (most recent call last):" in rest) == bool(debug)
    assert debug or rest == []
