"""What happens to a store when something goes wrong: killed writers, two of them, full and read-only disks, damage."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.corrections.cases import labels_on, mended, save, scan
from tests.full_disk import full_disk
from tests.waiting import PATIENCE
from ultralightunet import InputError, OutputError
from ultralightunet.corrections import Store
from ultralightunet.corrections.locking import only_writer
from ultralightunet.events import Progress

ROOT = Path(__file__).parents[2]

WRITER = """
import sys
from tests.corrections.cases import labels_on, mended, scan
from ultralightunet.corrections import Store
first, last = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for seed in range(first, last):
    image = scan(seed, (24, 40, 40))
    # Every image twice: a new case, then a further revision of it.
    for label in (1, 2):
        found = Store(sys.argv[1]).add(image, mended(labels_on(image), label=label), None, checked={0: [3]} if seed % 2 else None)
        print(found.case, found.number, flush=True)
"""


def writer(store: Path, first: int, last: int) -> subprocess.Popen[str]:
    """Saves the corrections of images first to last and says which are done."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WRITER, str(store), str(first), str(last)]
    job = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "ready\n"
    return job


def told(text: str) -> set[tuple[str, int]]:
    """Case and revision of every save that a writer knew to be done."""
    whole = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return {(case, int(number)) for case, number in whole}


def kinds(store: Store) -> list[str]:
    return [problem.kind for problem in store.check().problems]


def everything_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- killed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to send")
def test_killed_at_any_moment_no_case_is_lost_and_none_is_half_there(tmp_path: Path) -> None:
    moments = random.Random(4)
    done: set[tuple[str, int]] = set()
    for attempt in range(12):
        job = writer(tmp_path / "store", 100 * attempt, 100 * attempt + 100)
        assert job.stdout is not None
        out = "".join(job.stdout.readline() for _ in range(moments.randrange(3)))
        # Somewhere in the next save, or the one after that.
        time.sleep(moments.uniform(0.0, 0.1))
        job.send_signal(signal.SIGKILL)
        done |= told(out + job.stdout.read())
        job.stdout.close()
        job.wait()
        store = Store(tmp_path / "store")
        if not store.exists:
            continue
        report = store.check()
        assert report.whole, report
        present = {(revision.case, revision.number) for revision in store.revisions()}
        assert done <= present
        assert len(present - done) <= attempt + 1, "at most the one that was being saved when its writer was killed"
        for revision in store.revisions():
            assert revision.image().shape == revision.labels().labels.shape == (24, 40, 40)
    assert len(done) > 5
    # The next save makes up for what the killed ones did not come to do, and a repair for what they left.
    save_like_the_writer(tmp_path / "store")
    store = Store(tmp_path / "store")
    assert set(kinds(store)) <= {"leftover", "ledger"}
    store.repair()
    assert set(kinds(store)) <= {"ledger"}


def save_like_the_writer(folder: Path) -> None:
    image = scan(5000, (24, 40, 40))
    Store(folder).add(image, mended(labels_on(image)), None)


@pytest.mark.parametrize("step", ["cases", "ledger", "dataset", "index"])
@pytest.mark.parametrize("what", ["a new case", "a further revision"])
def test_a_save_that_dies_between_two_steps_is_made_up_for_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, what: str
) -> None:
    store = Store(tmp_path)
    save(store)
    image = scan(1 if what == "a new case" else 0)

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    module = "ultralightunet.corrections.saving"
    target = {
        "cases": "os.replace",
        "ledger": f"{module}.append",
        "dataset": f"{module}.derive_one",
        "index": f"{module}.append_to_index",
    }[step]
    with monkeypatch.context() as patch:
        patch.setattr(target, killed)
        with pytest.raises(Killed):
            store.add(image, mended(labels_on(image), label=2), None)
    assert store.check().whole
    assert kinds(store) == {"cases": [], "ledger": ["unlisted", "dataset"], "dataset": ["dataset"], "index": []}[step]
    assert len(store.revisions()) == (1 if step == "cases" else 2)
    save(store, 2)
    assert kinds(store) == []
    assert len(store.revisions()) == (2 if step == "cases" else 3)
    entries = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [entry.get("recovered", False) for entry in entries].count(True) == (1 if step == "ledger" else 0)


def test_what_a_killed_writer_left_is_told_and_not_deleted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store)
    (tmp_path / ".writing-0123" / "0001").mkdir(parents=True)
    (tmp_path / ".writing-0123" / "0001" / "labels.nii.gz").write_bytes(b"half")
    (problem,) = store.check().problems
    assert (problem.kind, problem.where, problem.is_loss) == ("leftover", ".writing-0123", False)
    save(store, 1)
    assert (tmp_path / ".writing-0123" / "0001" / "labels.nii.gz").read_bytes() == b"half"


def test_a_ledger_line_cut_short_is_told_and_swallows_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store)
    save(store, 1)
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-40])
    assert kinds(store) == ["ledger", "unlisted"]
    assert store.check().whole
    save(store, 2)
    (problem,) = store.check().problems
    assert (problem.kind, problem.text) == ("ledger", "expected whole lines in ledger.jsonl, found line 2 cut short; nothing is lost by it")
    assert len(ledger.read_text().splitlines()) == 4
    assert [revision.number for revision in store.cases()] == [1, 1, 1]


# ---- two at once


@pytest.mark.slow
def test_two_processes_write_one_store_and_nothing_is_lost(tmp_path: Path) -> None:
    jobs = [writer(tmp_path / "store", 0, 6), writer(tmp_path / "store", 3, 9)]
    outs = [job.communicate(timeout=PATIENCE)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    store = Store(tmp_path / "store")
    assert store.check().problems == ()
    assert len(store.cases()) == 9
    present = {(revision.case, revision.number) for revision in store.revisions()}
    assert told(outs[0]) | told(outs[1]) == present
    assert len((tmp_path / "store" / "ledger.jsonl").read_text().splitlines()) == len(present)


def test_who_waits_too_long_for_another_writer_is_told(tmp_path: Path) -> None:
    save(Store(tmp_path))
    before = everything_in(tmp_path)
    with only_writer(tmp_path / ".lock"), pytest.raises(OutputError, match=r"found another program at it for 0 s; wait until it is done"):
        save(Store(tmp_path, wait=0.1), 1)
    assert everything_in(tmp_path) == before
    save(Store(tmp_path, wait=0.1), 1)


def test_a_second_writer_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(Store(tmp_path))
    order: list[str] = []

    def second() -> None:
        save(Store(tmp_path), 1)
        order.append("second")

    waits, sleep = threading.Event(), time.sleep

    def noted(seconds: float) -> None:
        waits.set()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    thread = threading.Thread(target=second)
    with only_writer(tmp_path / ".lock"):
        thread.start()
        assert waits.wait(PATIENCE)
        order.append("first")
    thread.join(PATIENCE)
    assert order == ["first", "second"]


# ---- the disk


@pytest.mark.parametrize("free", [50, 300, 1000])
def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path, free: int) -> None:
    store = Store(tmp_path)
    save(store)
    before = everything_in(tmp_path)
    with full_disk(free), pytest.raises(OutputError, match=r"expected to write to the store .*, found an obstacle: File too large"):
        save(store, 1)
    assert everything_in(tmp_path) == before
    assert kinds(store) == []


def test_a_disk_that_is_full_for_the_ledger_keeps_the_correction(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store)
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes() * 40)
    size = ledger.stat().st_size
    with full_disk(size + 100), pytest.raises(OutputError, match=r"the correction \w+/0001 is saved, only ledger.jsonl and dataset.json"):
        save(store, 1)
    assert ledger.stat().st_size == size
    assert len(store.cases()) == 2
    assert save(store, 1).number == 1, "saved again it is the same"
    assert kinds(store) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_disk_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    save(store)
    before = everything_in(tmp_path)
    folders = [tmp_path, *tmp_path.rglob("*")]
    for path in folders:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with pytest.raises(OutputError, match="found an obstacle: Permission denied"):
            save(store, 1)
        with pytest.raises(OutputError, match="found an obstacle: Permission denied"):
            save(Store(tmp_path / "new"))
        assert len(store.cases()) == 1
        assert kinds(store) == []
        assert everything_in(tmp_path) == before
    finally:
        for path in folders:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs a place that nobody can write to")
def test_a_place_where_no_folder_can_be_made_is_told() -> None:
    with pytest.raises(
        OutputError, match=r"expected to write to the store /proc/sys/store, found an obstacle: .*the correction was not saved"
    ):
        save(Store("/proc/sys/store"))


# ---- damage


@pytest.mark.parametrize("name", ["image.nii.gz", "0001/labels.nii.gz", "0001/prediction.nii.gz", "0001/checked.nii.gz", "0001/facts.json"])
@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_every_file_that_was_damaged_is_found(tmp_path: Path, name: str, fault: str) -> None:
    store = Store(tmp_path)
    path = save(store, checked={0: [1]}).folder.parent / name
    save(store, 1)
    blob = path.read_bytes()
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(blob.replace(b'"voxels_changed": ', b'"voxels_changed": 1') if name.endswith("json") else blob[:-1] + b"\xff")
    report = store.check()
    assert not report.whole
    where = next(problem.where for problem in report.problems if problem.is_loss)
    assert where in (path.relative_to(tmp_path).as_posix(), path.parent.relative_to(tmp_path).as_posix())
    path.write_bytes(blob)
    assert store.check().problems == ()


def test_a_lost_case_is_told_by_the_ledger(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lost = save(store)
    save(store, 1)
    lost.folder.parent.rename(tmp_path.with_name(tmp_path.name + "-elsewhere"))
    (loss,) = [problem for problem in store.check().problems if problem.is_loss]
    assert (loss.kind, loss.where) == ("lost", f"cases/{lost.case}/0001")
    again = save(store)
    assert (again.role, again.case) == (lost.role, lost.case)


def test_a_case_of_which_all_is_damaged_is_not_added_to(tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = save(store)
    (found.folder / "facts.json").write_text("{")
    with pytest.raises(InputError, match="found damaged ones only; take them from a copy"):
        save(store)


def test_a_store_whose_own_facts_are_damaged_is_refused(tmp_path: Path) -> None:
    save(Store(tmp_path))
    (tmp_path / "store.json").write_text("{")
    with pytest.raises(InputError, match=r"found a damaged .*store.json"):
        Store(tmp_path)


def test_checking_shows_its_progress(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store)
    save(store, 1)
    assert list(store.checking()) == [Progress("Checking", n, 2) for n in range(3)]
    with pytest.raises(InputError, match="found none at"):
        Store(tmp_path / "nothing").check()


@pytest.mark.slow
def test_a_large_scan_is_saved_as_it_is(tmp_path: Path) -> None:
    image = scan(shape=(256, 256, 256), affine=np.eye(4))
    found = Store(tmp_path).add(image, mended(labels_on(image)), labels_on(image))
    np.testing.assert_array_equal(found.image().array, image.array)
