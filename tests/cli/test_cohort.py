"""`ultralight cohort`: a line for each case, what it came to, and an exit code that says whether any failed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.test_process import process
from tests.cohort.scans import scans, table
from tests.command import Command, sentence
from tests.small_models import small_model
from tests.waiting import PATIENCE
from ultralightunet.models import Model


def test_each_case_has_a_line_and_a_failure_makes_the_exit_code_1(tmp_path: Path, ultralight: Command, model: Model) -> None:
    root, out = scans(tmp_path / "in", "a", "c"), tmp_path / "out"
    (root / "b.nii").write_bytes(b"no image")
    done = ultralight("cohort", root, out, "--model", model.folder)
    assert (done.code, done.err) == (1, "")
    first, *cases, last = done.out.splitlines()
    assert first == f"3 cases in {root}"
    assert cases[0].startswith("[1/3] a: done, ")
    assert cases[1].startswith("[2/3] b: failed: expected a NIfTI image, found ")
    assert " a minute, " in cases[0]
    assert cases[2].startswith("[3/3] c: done, ")
    assert "part 1 " in cases[2]
    assert last == f"2 done, 0 of them flagged, 1 failed: {out / 'cohort.tsv'}"
    (root / "b.nii").unlink()
    again = ultralight("cohort", root, out, "--model", model.folder)
    assert (again.code, again.out.splitlines()[-1]) == (0, f"2 done, 0 of them flagged, 0 failed (2 of them earlier): {out / 'cohort.tsv'}")


def test_programs_read_the_plan_each_case_and_the_result(tmp_path: Path, ultralight: Command, model: Model) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    done = ultralight("cohort", root, out, "--model", model.folder, "--json", "--shard", "1/1", "--case-timeout", 600)
    plan, case, result = done.events
    assert (done.code, plan) == (0, {"event": "plan", "cases": 1, "passed_by": []})
    assert (case["event"], case["number"], case["total"], case["state"]) == ("case", 1, 1, "done")
    assert {name: value for name, value in case.items() if name in ("case", "image_sha256", "volumes")} == {
        name: value
        for name, value in json.loads((out / "labels" / "a.json").read_text()).items()
        if name in ("case", "image_sha256", "volumes")
    }
    assert result == {
        "event": "result",
        "folder": str(out),
        "table": str(out / "cohort.tsv"),
        "done": 1,
        "flagged": 0,
        "failed": 0,
        "passed_over": 0,
    }


def test_a_report_of_a_finished_run_does_nothing_else(tmp_path: Path, ultralight: Command, model: Model) -> None:
    root, out = scans(tmp_path / "in", "a"), tmp_path / "out"
    assert ultralight("cohort", root, out, "--model", model.folder).code == 0
    assert not (out / "report.html").exists()
    told = ultralight("cohort", root, out, "--model", model.folder, "--report", "--json")
    assert [event["event"] for event in told.events] == ["plan", "result"]
    assert told.events[-1]["report"] == str(out / "report.html")
    assert 'data-case="a"' in (out / "report.html").read_text()


def test_what_is_to_be_fixed_is_done_again_by_another_model_and_shown_before_and_after(
    tmp_path: Path, ultralight: Command, model: Model
) -> None:
    root, out = scans(tmp_path / "in", "a", "b", "c"), tmp_path / "out"
    assert ultralight("cohort", root, out, "--model", model.folder).code == 0
    (tmp_path / "ratings.tsv").write_text("case\trating\tnote\na\tgood\t\nb\tto fix\tleft side\n")
    retrained = small_model(tmp_path / "retrained", name="volume", version="1.1.0", seed=4)
    again = ("cohort", root, out, "--model", retrained.folder, "--only", "to-fix", "--report")
    done = ultralight(*again, "--ratings", tmp_path / "ratings.tsv")
    assert (done.code, done.out.splitlines()[0]) == (0, f"1 case in {root}")
    (after,) = out.glob("volume@1.1.0-*")
    assert [path.name for path in (after / "labels").glob("*.nii.gz")] == ["b.nii.gz"]
    report = (after / "report-to-fix.html").read_text()
    assert report.count("<tr data-case=") == 1
    assert report.count("data:image/webp;base64,") == 2
    assert "left side" in report
    assert "expected --ratings with a table" in sentence(ultralight(*again))
    assert "found none that are in" in sentence(ultralight(*again[:-3], "--only", "bad", "--ratings", tmp_path / "ratings.tsv"))


def test_a_dry_run_lists_the_cases_and_writes_nothing(tmp_path: Path, ultralight: Command, model: Model) -> None:
    root = scans(tmp_path / "in", "b", "a")
    done = ultralight("cohort", root, tmp_path / "out", "--model", model.folder, "--dry-run")
    assert (done.code, done.out) == (0, f"2 cases in {root}\n    a\n    b\n")
    assert not (tmp_path / "out").exists()


def test_nothing_to_do_is_one_sentence(tmp_path: Path, ultralight: Command, model: Model) -> None:
    (tmp_path / "in").mkdir()
    assert "found none; choose another folder" in sentence(ultralight("cohort", tmp_path / "in", tmp_path / "out", "--model", model.folder))
    assert "at least one thread" in sentence(ultralight("cohort", tmp_path / "in", tmp_path / "out", "--threads", 0))


@pytest.mark.parametrize(
    "option", [("--shard", "3/2"), ("--shard", "0/2"), ("--shard", "1"), ("--case-timeout", "0"), ("--case-timeout", "soon")]
)
def test_options_that_mean_nothing_are_wrong_usage(tmp_path: Path, ultralight: Command, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as left:
        ultralight("cohort", tmp_path, tmp_path / "out", *option)
    assert left.value.code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_leaves_all_that_is_done_and_the_table_says_the_rest(tmp_path: Path, model: Model) -> None:
    # One scan under many names; their lines are more than a pipe holds, so that the command cannot come to its end unnoticed.
    root, out = scans(tmp_path, "scan") / "list.csv", tmp_path / "out"
    root.write_text("image,name\n" + "".join(f"scan.nii,{n:03d}\n" for n in range(400)))
    # What a shell starts in the background ignores Ctrl-C, and so do its children.
    job = process(
        "cohort",
        root,
        out,
        "--model",
        model.folder,
        "--json",
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert job.stdout is not None
    assert [json.loads(job.stdout.readline())["event"] for _ in range(3)] == ["plan", "case", "case"]
    job.send_signal(signal.SIGINT)
    _, err = job.communicate(timeout=PATIENCE)
    assert (job.returncode, err) == (130, "ultralight: cancelled\n")
    states = [row["state"] for row in table(out / "cohort.tsv").values()]
    assert states.count("done") >= 2
    assert states.count("done") == len(list(out.rglob("*.nii.gz"))) == len(list((out / "labels").rglob("*.json")))
    assert not [name for _, _, names in os.walk(out) for name in names if name.startswith(".partial")]
