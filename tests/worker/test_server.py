"""The warm process answers whatever it hears, goes on, and ends when its host does."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.damage import odd_values
from ultralightunet.worker.server import Server

AFFINE = np.eye(4).tolist()

GARBAGE = (
    b"",
    b"not json",
    b'{"id": 1, "do": "mod',
    b"[]",
    b"null",
    b'{"do": "models"}',
    b'{"id": "x", "do": "models"}',
    b'{"id": 1}',
    b"\xff\xfe",
)


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "ultralightunet.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        yield process
        process.kill()


def ask(process: subprocess.Popen[bytes], *lines: bytes) -> None:
    assert process.stdin is not None
    for line in lines:
        process.stdin.write(line + b"\n")
    process.stdin.flush()


def outcome(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The last event of the next request, or of a line that is none."""
    assert process.stdout is not None
    while True:
        event: dict[str, Any] = json.loads(process.stdout.readline())
        if event["event"] != "progress":
            return event


def test_a_line_that_is_no_request_is_answered_and_the_next_one_is_heard(worker: subprocess.Popen[bytes]) -> None:
    ask(worker, *GARBAGE, b'{"do": "cancel"}', b'{"id": 5, "do": "models"}')
    for _ in range(len(GARBAGE) + 1):
        told = outcome(worker)
        assert (told["id"], told["event"], told["kind"]) == (None, "error", "InputError")
        assert told["sentence"].startswith("expected a request ")
    assert (told := outcome(worker))["id"] == 5
    assert told["event"] == "result"


@pytest.mark.parametrize("last", [b'{"id": 1, "do": "mod', b"\n", b'{"do": "cancel"}\n', b'{"id": 1, "do": "models"}\n'])
def test_it_ends_when_its_stdin_closes_whatever_came_last(worker: subprocess.Popen[bytes], last: bytes) -> None:
    assert worker.stdin is not None
    worker.stdin.write(last)
    worker.stdin.close()
    assert worker.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"do": "models", "x": 5}, "expected what the task models takes, found got an unexpected keyword argument 'x'"),
        ({"do": "segment", "model": "brain"}, "expected what the task segment takes, found missing a required argument: 'image'"),
        ({"do": "segment", "model": "brain", "image": "{text}", "affine": AFFINE, "labels": "x"}, "expected an array of NumPy in "),
        (
            {"do": "segment", "model": "brain", "image": "{array}", "affine": [[1], [0, 1]], "labels": "x"},
            "expected an affine of 4x4 numbers",
        ),
        ({"do": "segment", "model": "brain", "image": "{array}", "affine": AFFINE, "labels": "x", "threads": "many"}, "expected "),
        ({"do": "store", "model": "../../outside"}, "expected the name of a model, found '../../outside'"),
        ({"do": "use", "name": [], "version": {}}, "expected "),
        ({"do": "export", "store": 7, "folder": "x", "format": "nifti"}, "expected "),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_with_its_reason(tmp_path: Path, request_: dict[str, Any], said: str) -> None:
    (tmp_path / "text").write_text("no array")
    np.save(tmp_path / "array.npy", np.zeros((8, 8, 8), np.float32))
    files = {"{text}": str(tmp_path / "text"), "{array}": str(tmp_path / "array.npy")}
    told = answers_to({"id": 1, **{key: files.get(value, value) if isinstance(value, str) else value for key, value in request_.items()}})
    assert (told[-1]["id"], told[-1]["event"]) == (1, "error")
    assert said in told[-1]["sentence"]


def answers_to(*requests: Any) -> list[dict[str, Any]]:
    """What a server in this process answers, until its host has gone."""
    told: list[dict[str, Any]] = []
    server = Server(told.append)
    server._end = lambda: server._waiting.put(None)  # type: ignore[method-assign] - the whole process would end otherwise
    listener = threading.Thread(target=server.listen, args=(io.BytesIO(b"".join(json.dumps(each).encode() + b"\n" for each in requests)),))
    listener.start()
    listener.join()
    server.serve()
    return told


def test_an_unexpected_fault_carries_its_reason_and_leaves_its_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    (told,) = answers_to({"id": 1, "do": "export", "store": [], "folder": "x", "format": "nifti"})
    assert "expected export to come to its end, found a fault in UltraLight: TypeError: " in told["sentence"]
    assert told["kind"] == "TypeError"
    assert "Traceback" in caplog.text


@given(values=st.dictionaries(st.sampled_from(("id", "do", "model", "image", "store", "name", "folder")), odd_values, max_size=5))
def test_no_request_ends_the_server(values: dict[str, Any]) -> None:
    told = answers_to(values, {**values, "id": 3}, {"id": 3, **values, "do": "store"}, {"id": 4, "do": "no such task"})
    assert [event["id"] for event in told][-1] == 4
    assert {event["event"] for event in told} <= {"error", "progress", "result"}
