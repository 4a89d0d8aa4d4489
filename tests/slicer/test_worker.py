"""The process beside Slicer, spoken to as Slicer does, and as a bare program."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from UltraLightSegmenterLib.complaint import reason
from UltraLightSegmenterLib.core import core_environment
from UltraLightSegmenterLib.process import Worker

from tests.slicer.conftest import Answers, new_worker, noisy, until
from tests.small_models import small_model
from ultralightunet import Request, Session, Volume
from ultralightunet.corrections import Store
from ultralightunet.events import finish
from ultralightunet.models import Model, install_model, load_model

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def request_for(folder: Path, model: Model, array: Any, **options: Any) -> dict[str, Any]:
    np.save(folder / "image.npy", array)
    return {
        "do": "segment",
        "model": str(model.folder),
        "image": str(folder / "image.npy"),
        "affine": AFFINE.tolist(),
        "labels": str(folder / "labels.npy"),
        **options,
    }


def test_labels_are_those_of_the_session_that_napari_uses(warm_worker: Worker, model: Model, tmp_path: Path, answers: Answers) -> None:
    array = noisy()
    warm_worker.ask(answers.listener, **request_for(tmp_path, model, array, box=[[0, 10], [2, 20], [0, 28]], step=0.7))
    told = answers.wait(warm_worker.poll)
    expected = finish(Session().segment(Volume(array, AFFINE), Request(model, box=((0, 10), (2, 20), (0, 28)), step=0.7)))
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), expected.labels)
    assert expected.labels.any()
    assert told["model"] == model.id
    assert [entry["name"] for entry in told["classes"]] == ["background", "part 1", "part 2"]
    assert [event["stage"] for event in answers.events][:2] == ["Preparing", "Segmenting"]


def test_a_request_that_cannot_be_met_is_one_sentence_and_the_process_goes_on(warm_worker: Worker, model: Model, tmp_path: Path) -> None:
    for change, said in (
        ({"model": "no-such-model"}, "Expected a model folder or an installed model"),
        ({"affine": np.zeros((4, 4)).tolist()}, "Expected a finite affine"),
        ({"image": str(tmp_path / "gone.npy")}, "without an obstacle, found No such file"),
        ({"labels": str(tmp_path / "no-folder" / "labels.npy")}, "without an obstacle, found No such file"),
        ({"do": "dance"}, "Expected a task models, install"),
    ):
        answers = Answers()
        warm_worker.ask(answers.listener, **{**request_for(tmp_path, model, noisy()), **change})
        assert said in answers.wait_for_failure(warm_worker.poll)
    process = warm_worker.process_id
    answers = Answers()
    warm_worker.ask(answers.listener, **request_for(tmp_path, model, noisy()))
    answers.wait(warm_worker.poll)
    assert warm_worker.process_id == process


def test_cancel_ends_the_work_and_the_next_request_is_served(warm_worker: Worker, model: Model, tmp_path: Path, answers: Answers) -> None:
    number = warm_worker.ask(answers.listener, **request_for(tmp_path, model, noisy((96, 96, 96)), step=0.1))
    until(lambda: any(event["done"] for event in answers.events), warm_worker.poll)
    warm_worker.cancel(number)
    assert answers.wait_for_failure(warm_worker.poll) == ""
    assert not (tmp_path / "labels.npy").exists()
    after = Answers()
    warm_worker.ask(after.listener, **request_for(tmp_path, model, noisy()))
    after.wait(warm_worker.poll)


def test_a_killed_process_is_told_to_who_waits_and_started_anew(model: Model, tmp_path: Path, answers: Answers) -> None:
    worker, lines = new_worker(), []
    worker.log = lines.append
    worker.ask(answers.listener, **request_for(tmp_path, model, noisy((96, 96, 96)), step=0.1))
    until(lambda: answers.events, worker.poll)
    killed = worker.process_id
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert "ended unexpectedly" in answers.wait_for_failure(worker.poll)
    assert len(lines) == 1
    assert not worker.is_busy
    after = Answers()
    worker.ask(after.listener, **request_for(tmp_path, model, noisy()))
    after.wait(worker.poll)
    assert worker.process_id != killed
    worker.stop()


def test_a_process_that_cannot_start_says_why(tmp_path: Path, answers: Answers) -> None:
    (tmp_path / "ultralightunet").mkdir()
    (tmp_path / "ultralightunet" / "__init__.py").write_text("raise ImportError('no openvino here')")
    worker = Worker(lambda: [sys.executable], lambda: core_environment(tmp_path))
    worker.ask(answers.listener, do="models")
    assert "no openvino here" in answers.wait_for_failure(worker.poll)


ABORTED = """Traceback (most recent call last):
  File "/slicer/lib/openvino/__init__.py", line 7, in <module>
ImportError: libopenvino.so: cannot open shared object file
Fatal Python error: _enter_buffered_busy: could not acquire lock for <_io.BufferedReader> at interpreter shutdown

Current thread 0x00007f (most recent call first):
  <no Python frame>
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (ABORTED, "ImportError: libopenvino.so: cannot open shared object file"),
        ('Fatal Python error: Segmentation fault\n\nThread 0x1:\n  File "x.py", line 3\n', "Fatal Python error: Segmentation fault"),
        ("terminate called after throwing an instance of 'ov::Exception'\n  what():  no plugin\n", "what():  no plugin"),
        ("a library says something\n", "a library says something"),
        ("", ""),
    ],
    ids=["import", "crash", "C++", "other", "nothing"],
)
def test_the_reason_is_found_among_the_lines_that_a_process_left(text: str, why: str) -> None:
    assert reason(text) == why


def test_all_that_a_process_left_is_in_the_log(tmp_path: Path, answers: Answers) -> None:
    package = tmp_path / "ultralightunet" / "worker"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text(f"import os, sys\nsys.stderr.write({ABORTED!r})\nsys.stderr.flush()\nos.abort()\n")
    worker, lines = Worker(lambda: [sys.executable], lambda: core_environment(tmp_path)), []
    worker.log = lines.append
    worker.ask(answers.listener, do="models")
    sentence = answers.wait_for_failure(worker.poll)
    assert "(ImportError: libopenvino.so: cannot open shared object file)" in sentence
    assert ABORTED.strip() in lines[0]


def test_a_pipe_that_is_empty_for_now_is_no_obstacle_on_windows(
    warm_worker: Worker, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read
    empty = []

    def read_as_windows_does(file: int, size: int) -> bytes:
        try:
            return read(file, size)
        except BlockingIOError:
            empty.append(file)
            raise OSError(errno.EINVAL, "Invalid argument") from None

    monkeypatch.setattr(os, "read", read_as_windows_does)
    warm_worker.ask(answers.listener, do="models")
    assert answers.wait(warm_worker.poll)["models"]
    assert empty


@pytest.mark.parametrize("is_working", [False, True], ids=["idle", "working"])
def test_it_ends_when_its_host_is_killed(is_working: bool, model: Model, tmp_path: Path) -> None:
    request = {"id": 1, **request_for(tmp_path, model, noisy((96, 96, 96)), step=0.1)} if is_working else {"id": 1, "do": "models"}
    line = json.dumps(request).encode() + b"\n"
    host = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-m', 'ultralightunet.worker'], stdin=subprocess.PIPE)\n"
        f"p.stdin.write({line!r}); p.stdin.flush()\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        worker = json.loads(process.stdout.readline())["process"]
        # It is at work, or has nothing more to do.
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.kill()
    until(lambda: has_ended(worker), lambda: time.sleep(0.05))


def has_ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_what_libraries_print_does_not_reach_the_host() -> None:
    code = (
        "import ultralightunet.worker.tasks as tasks\n"
        "def loud(self):\n"
        "    print('a library says hello', flush=True)\n"
        "    import os; os.write(1, b'and so does C\\n')\n"
        "    yield from ()\n"
        "    return {'models': []}\n"
        "tasks.Tasks.models = loud\n"
        "from ultralightunet.worker.server import main; main()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"id": 1, "do": "models"}\n')
        process.stdin.flush()
        found = [process.stdout.readline(), process.stdout.readline()]
        process.stdin.close()
        found += process.stdout.readlines()
    assert [json.loads(line)["event"] for line in found] == ["ready", "result"]


def test_models_stores_and_versions_are_those_of_the_command_line(tmp_path: Path, model: Model) -> None:
    install_model(model.folder)
    install_model(small_model(tmp_path / "second", version="1.1.0", seed=4).folder)
    worker = new_worker()

    def told(**request: Any) -> Any:
        answers = Answers()
        worker.ask(answers.listener, **request)
        return answers.wait(worker.poll)

    models = {found["id"]: found["is_current"] for found in told(do="models")["models"]}
    assert models["small@1.0.0"] is False
    assert models["small@1.1.0"] is True
    assert told(do="use", name="small", version="1.0.0")["model"] == load_model("small").id == "small@1.0.0"
    array = noisy()
    told(**{**request_for(tmp_path, model, array), "model": "small"})
    prediction = np.load(tmp_path / "labels.npy")
    corrected = prediction.copy()
    corrected[:5] = 1
    np.save(tmp_path / "corrected.npy", corrected)
    store = told(do="store", model="small@1.0.0")
    assert (store["cases"], [version["id"] for version in store["versions"]]) == (0, ["small@1.0.0", "small@1.1.0"])
    saved = told(
        do="save",
        store=store["store"],
        image=str(tmp_path / "image.npy"),
        affine=AFFINE.tolist(),
        labels=str(tmp_path / "corrected.npy"),
        prediction=str(tmp_path / "labels.npy"),
        checked={"0": [0, 1, 2]},
        classes=[{"index": entry.index, "name": entry.name, "color": list(entry.color), "snomed": ""} for entry in model.classes],
        model="small@1.0.0",
    )
    (revision,) = Store(store["store"]).cases()
    assert saved["case"] == revision.name
    assert saved["voxels_checked"] == 3 * 24 * 28
    np.testing.assert_array_equal(revision.labels().labels, corrected)
    assert revision.modality == "MR"
    assert told(do="export", store=store["store"], folder=str(tmp_path / "out"), format="nifti")["cases"] == 1
    assert (tmp_path / "out").is_dir()
    assert told(do="store", model="small")["cases"] == 1
    worker.stop()


def test_a_retraining_that_cannot_begin_says_so_in_one_sentence(warm_worker: Worker, tmp_path: Path, answers: Answers) -> None:
    warm_worker.ask(answers.listener, do="retrain", store=str(tmp_path / "none"), model="brain", arguments=["--minutes", "1"])
    sentence = answers.wait_for_failure(warm_worker.poll)
    assert "xpected" in sentence
    assert "found" in sentence
