"""What happens to a list when something goes wrong: bad images, lost power, killed programs, two of them, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.full_disk import full_disk
from tests.waiting import PATIENCE
from tests.worklist.lists import Clock, image, labels, listed, states
from ultralightunet.corrections.locking import only_writer
from ultralightunet.errors import OutputError
from ultralightunet.worklist import Worklist, creating
from ultralightunet.worklist import worklist as module

ROOT = Path(__file__).parents[2]

READER = """
import sys
from ultralightunet.worklist import Worklist, creating
worklist, reader = Worklist(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
while (case := worklist.next(reader).case) is not None:
    print("taken", case.name, flush=True)
    worklist.check(case.name, reader)
    print("checked", case.name, flush=True)
"""


def reader(folder: Path, name: str) -> subprocess.Popen[str]:
    """A process that reads all it gets, as soon as it is told to begin."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", READER, str(folder), name]
    job = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "ready\n"
    return job


def said(text: str, word: str) -> list[str]:
    whole = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [name for first, name in whole if first == word]


# ---- bad images


def test_images_that_are_gone_changed_or_damaged_are_passed_over_and_come_again(tmp_path: Path) -> None:
    images = tmp_path / "images"
    image(images / "damaged.nii").write_bytes(b"half a file")
    worklist = listed(tmp_path, "changed", "gone", "good")
    kept = {name: (images / f"{name}.nii").read_bytes() for name in ("gone", "changed")}
    (images / "gone.nii").unlink()
    image(images / "changed.nii", seed=99)
    handed = worklist.next("Anna")
    assert handed.case
    assert handed.case.name == "good"
    changed, damaged, gone = handed.told
    assert changed.startswith("expected the image of changed as it was listed, found another one, or a damaged copy, at ")
    assert damaged.startswith("expected a NIfTI image, found ")
    assert gone.startswith("expected the image of gone, found nothing at ")
    assert states(worklist)["gone"] == "to do"
    worklist.check("good", "Anna")
    assert worklist.next("Anna").case is None
    for name, blob in kept.items():
        (images / f"{name}.nii").write_bytes(blob)
    again = worklist.next("Anna").case
    assert again
    assert again.name == "changed"


def test_labels_that_are_gone_keep_no_case_back(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a")
    worklist.label("a", labels(tmp_path / "a.nii.gz"))
    (tmp_path / "a.nii.gz").unlink()
    handed = worklist.next("Anna")
    assert handed.case
    assert handed.labels is None
    assert handed.told[0].startswith("expected the labels of a, found nothing at ")


# ---- power lost, programs killed


def test_power_lost_at_any_byte_of_a_line_loses_that_line_alone(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a", "b")
    ledger = tmp_path / "list/ledger.jsonl"
    worklist.check("a", "Anna")
    before = ledger.read_bytes()
    worklist.reject("b", "Anna", "it moved")
    after = ledger.read_bytes()
    for end in range(len(before), len(after)):
        ledger.write_bytes(after[:end])
        # Without its line break the line is whole all the same.
        assert states(worklist) == {"a": "checked", "b": "rejected" if end == len(after) - 1 else "to do"}
        worklist.check("b", "Ben")
        assert states(worklist) == {"a": "checked", "b": "checked"}
        assert worklist.damaged == ((2,) if len(before) < end < len(after) - 1 else ())


def test_a_line_that_says_what_cannot_be_is_passed_over(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a")
    worklist.check("a", "Anna")
    odd = ["[]", "null", '{"event": "checked"}', '{"event": "sung", "case": "a"}', '{"event": "taken", "case": "a", "until": 1e999}']
    odd += ['{"event": "checked", "case": "a", "reader": "x", "labels": "../../secret.nii.gz"}', '{"event": "noted", "case": "z"}']
    with (tmp_path / "list/ledger.jsonl").open("a") as ledger:
        ledger.write("\n".join(odd) + "\n")
    assert states(worklist) == {"a": "checked"}
    assert worklist.damaged == (2, 3, 4, 5, 6, 7)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to send")
def test_a_killed_program_loses_nothing_that_it_said_and_its_reader_goes_on(tmp_path: Path) -> None:
    names = [f"case{n}" for n in range(12)]
    listed(tmp_path, *names)
    checked: list[str] = []
    for lines in (1, 4):
        job = reader(tmp_path / "list", "Anna")
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdin.write("go\n")
        job.stdin.flush()
        out = "".join(job.stdout.readline() for _ in range(lines))
        job.send_signal(signal.SIGKILL)
        out += job.stdout.read()
        job.communicate()
        checked += said(out, "checked")
        found = states(Worklist(tmp_path / "list"))
        assert {name for name in checked if found[name] != "checked"} == set()
        assert sum(state == "checked" for state in found.values()) <= len(checked) + 1, "at most the one that it did not come to tell"
        assert sum(state == "in work" for state in found.values()) <= 1
        checked = [name for name, state in found.items() if state == "checked"]
    out, _ = reader(tmp_path / "list", "Anna").communicate("go\n", timeout=PATIENCE)
    assert sorted([*checked, *said(out, "checked")]) == sorted(names)


# ---- two at once


def test_two_programs_share_a_list_and_no_case_is_read_twice_or_lost(tmp_path: Path) -> None:
    names = [f"case{n}" for n in range(16)]
    listed(tmp_path, *names)
    jobs = [reader(tmp_path / "list", name) for name in ("Anna", "Ben")]
    for job in jobs:
        assert job.stdin is not None
        job.stdin.write("go\n")
        job.stdin.flush()
    outs = [job.communicate(timeout=PATIENCE)[0] for job in jobs]
    taken = [name for out in outs for name in said(out, "taken")]
    assert sorted(taken) == sorted(names)
    worklist = Worklist(tmp_path / "list")
    assert set(states(worklist).values()) == {"checked"}
    assert worklist.damaged == ()


def test_a_case_that_another_program_takes_meanwhile_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worklist = listed(tmp_path, "a", "b")
    open_image = module.open_image

    def while_it_is_opened(*arguments: Any) -> Any:
        monkeypatch.setattr(module, "open_image", open_image)
        assert Worklist(tmp_path / "list", clock=Clock()).next("Ben").case
        return open_image(*arguments)

    monkeypatch.setattr(module, "open_image", while_it_is_opened)
    case = worklist.next("Anna").case
    assert case
    assert case.name == "b"
    assert [reading.reader for reading in worklist.case("a").readings] == ["Ben"]


def test_nothing_is_noted_while_another_program_is_at_it(tmp_path: Path) -> None:
    listed(tmp_path, "a")
    worklist = Worklist(tmp_path / "list", wait=0.1)
    with only_writer(tmp_path / "list/.lock"):
        for say in (lambda: worklist.next("Anna"), lambda: worklist.check("a", "Anna"), lambda: worklist.give_back("a", "Anna")):
            with pytest.raises(OutputError, match=r"found another program at it for 0 s; wait until it is done"):
                say()
    assert states(worklist) == {"a": "to do"}


def test_of_two_programs_that_make_one_list_the_later_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "theirs"):
        image(tmp_path / name / f"{name}.nii")
    write_facts = creating.write_facts

    def while_they_make_it(*arguments: Any) -> None:
        monkeypatch.setattr(creating, "write_facts", write_facts)
        creating.create_worklist(tmp_path / "list", tmp_path / "theirs")
        write_facts(*arguments)

    monkeypatch.setattr(creating, "write_facts", while_they_make_it)
    with pytest.raises(OutputError, match=r"expected to write the worklist .*; nothing is left of it; "):
        creating.create_worklist(tmp_path / "list", tmp_path / "mine")
    assert states(Worklist(tmp_path / "list")) == {"theirs": "to do"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list", "mine", "theirs"]


def test_on_a_full_disk_nothing_is_noted_and_it_is_told(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a")
    worklist.note("a", "x" * 900)
    before = (tmp_path / "list/ledger.jsonl").read_bytes()
    with full_disk(len(before) + 40), pytest.raises(OutputError, match=r"expected to write to the worklist .*; nothing of it was noted; "):
        worklist.check("a", "Anna")
    assert (tmp_path / "list/ledger.jsonl").read_bytes() == before
    assert worklist.check("a", "Anna").state == "checked"
