"""A command in a process of its own: its events arrive, its errors are sentences, and it ends when its host says so."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from tests.waiting import until
from ultralightunet.child import run_child
from ultralightunet.errors import UltraLightError
from ultralightunet.events import Epoch, Progress, finish


def stand_in(tmp_path: Path, code: str) -> Path:
    """An interpreter that runs `code` whatever it is asked to run."""
    if os.name != "posix":
        pytest.skip("a script that runs by itself needs a POSIX system")
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\nimport json, os, signal, subprocess, sys, time\n{code}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_real_command_gives_its_result() -> None:
    result = finish(run_child(["models", "use", "brain@0.1.0"]))
    assert result["model"] == "brain@0.1.0"


def test_a_real_commands_error_is_its_own_sentence() -> None:
    with pytest.raises(UltraLightError, match="^expected a version of brain that is at hand"):
        finish(run_child(["models", "use", "brain@7"]))


def test_events_arrive_as_they_were_sent(tmp_path: Path) -> None:
    python = stand_in(
        tmp_path,
        """
print("a word from a library")
print(json.dumps({"event": "progress", "stage": "Reading", "done": 1, "total": 2}))
print(json.dumps({"event": "epoch", "step": 5, "steps": 9, "loss": 0.5, "scores": {"validation Dice": 0.7}, "seconds": 1.5}))
print(json.dumps({"event": "problem", "text": "ä"}))
print(json.dumps({"event": "result", "arguments": sys.argv[1:]}))
""",
    )
    events: list[object] = []
    result = finish(run_child(["retrain", "store"], python=python), events.append)
    assert [event for n, event in enumerate(events) if event not in events[:n]] == [
        Progress("Starting", 0, 1),
        Progress("Reading", 1, 2),
        Epoch(5, 9, 0.5, {"validation Dice": 0.7}, 1.5),
        {"event": "problem", "text": "ä"},
    ]
    assert result["arguments"] == ["-m", "ultralightunet", "retrain", "store", "--json"]


def test_a_silent_process_can_be_closed_and_takes_along_what_it_started(tmp_path: Path) -> None:
    python = stand_in(
        tmp_path,
        """
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"event": "started", "pids": [os.getpid(), other.pid]}))
sys.stdout.flush()
time.sleep(600)
""",
    )
    work = run_child(["retrain"], python=python)
    started = next(event for event in work if isinstance(event, dict))
    assert all(alive(pid) for pid in started["pids"])
    # Nothing more is told, and yet it goes on yielding.
    assert isinstance(next(work), Progress)
    work.close()
    until(lambda: not any(alive(pid) for pid in started["pids"]))


def test_a_process_may_tidy_up_when_it_is_closed(tmp_path: Path) -> None:
    python = stand_in(
        tmp_path,
        f"""
def tidy(*_):
    open({str(tmp_path / "tidied")!r}, "w").close()
    sys.exit(130)
signal.signal(signal.SIGTERM, tidy)
print(json.dumps({{"event": "started"}}))
sys.stdout.flush()
time.sleep(600)
""",
    )
    work = run_child(["retrain"], python=python)
    next(event for event in work if isinstance(event, dict))
    work.close()
    assert (tmp_path / "tidied").exists()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "the signal SIGKILL.*nothing was changed"),
        ("raise RuntimeError('no idea')", r"the exit code 1 \(RuntimeError: no idea\)"),
        ("sys.stderr.write('noise\\nultralight: expected this, found that\\nmore\\n'); sys.exit(1)", "^expected this, found that$"),
        ("sys.exit(0)", "the exit code 0"),
        ("print(json.dumps({'event': 'result'})); sys.stdout.flush(); sys.exit(3)", "the exit code 3"),
    ],
)
def test_however_a_process_ends_a_sentence_says_so(tmp_path: Path, code: str, expected: str) -> None:
    with pytest.raises(UltraLightError, match=expected):
        finish(run_child(["retrain"], python=stand_in(tmp_path, code)))


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    with pytest.raises(UltraLightError, match="expected to start .*nowhere"):
        finish(run_child(["retrain"], python=tmp_path / "nowhere"))


def test_much_said_on_both_sides_does_not_block(tmp_path: Path) -> None:
    python = stand_in(
        tmp_path,
        """
for n in range(3000):
    sys.stderr.write("x" * 100 + "\\n")
    print(json.dumps({"event": "progress", "stage": "y" * 100, "done": n, "total": 3000}))
print(json.dumps({"event": "result"}))
""",
    )
    assert finish(run_child(["retrain"], python=python)) == {"event": "result"}
