"""What the tests of the Slicer module share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from tests.slicer.doubles import install
from tests.slicer.qt_doubles import Settings
from tests.small_models import small_model
from tests.waiting import PATIENCE
from ultralightunet.models import Model, install_model

install()

from UltraLightSegmenterLib.core import core_environment  # noqa: E402
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic  # noqa: E402
from UltraLightSegmenterLib.process import Listener, Worker  # noqa: E402


@pytest.fixture(autouse=True)
def empty_scene() -> Iterator[None]:
    """Every test begins and ends with an empty scene, without even what outlives its closing, and with Slicer's first settings."""
    slicer.mrmlScene.Clear(True)
    Settings.kept.clear()
    yield
    slicer.mrmlScene.Clear(True)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A small 3D model; its folder names it."""
    return small_model(tmp_path_factory.mktemp("models") / "small", seed=3)


def new_worker() -> Worker:
    """A worker whose process is not started yet."""
    return Worker(lambda: [sys.executable], core_environment)


@pytest.fixture(scope="session")
def warm_worker() -> Iterator[Worker]:
    """One process for many tests."""
    worker = new_worker()
    yield worker
    worker.stop()


@pytest.fixture
def logic(warm_worker: Worker, tmp_path: Path) -> Iterator[UltraLightSegmenterLogic]:
    """A logic with the warm process."""
    made = UltraLightSegmenterLogic(warm_worker, new_worker(), folder=tmp_path)
    yield made
    # As `close`, but the process stays for the next test.
    made.cancel()
    until(lambda: not made.is_waiting, made.poll)
    made.removeObservers()
    made.trainer.stop()


class Answers:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.sentences: list[str] = []
        self.events: list[Any] = []
        self.listener = Listener(self.results.append, self.sentences.append, self.events.append)

    @property
    def is_over(self) -> bool:
        return bool(self.results or self.sentences)

    def wait(self, poll: Callable[[], None]) -> Any:
        """The result.

        Raises:
            AssertionError: if it failed, with what was said.
        """
        until(lambda: self.is_over, poll)
        assert self.results, self.sentences
        return self.results[0]

    def wait_for_failure(self, poll: Callable[[], None]) -> str:
        until(lambda: self.is_over, poll)
        assert not self.results
        return self.sentences[0]


@pytest.fixture
def answers() -> Answers:
    return Answers()


def until(condition: Callable[[], Any], poll: Callable[[], None]) -> None:
    """Poll until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        poll()
        time.sleep(0.005)


def add_volume(array: Any, matrix: Any = None, *, name: str = "Scan", kind: str = "vtkMRMLScalarVolumeNode") -> Any:
    """A volume node; `matrix` is its IJKToRAS."""
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    slicer.util.updateVolumeFromArray(node, array)
    if matrix is not None:
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.asarray(matrix, float)))
    return node


def add_transform(matrix: Any) -> Any:
    """A linear transform node."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Turn")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix, float)))
    return node


def noisy(shape: tuple[int, ...] = (20, 24, 28), seed: int = 0) -> Any:
    """An image with contrast."""
    return np.random.default_rng(seed).integers(-200, 1000, shape).astype(np.int16)


def rotation(degrees: float, axis: int = 2) -> Any:
    """A 4x4 rotation."""
    matrix = np.eye(4)
    a, b = [n for n in range(3) if n != axis]
    angle = np.deg2rad(degrees)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model) -> Iterator[Any]:
    """The module opened for a user who has the small model."""
    # It needs what stands above.
    from tests.slicer.user import Slicer

    install_model(model.folder)
    made = Slicer(tmp_path, monkeypatch)
    yield made
    if made.widget.panel is not None:
        made.widget.cleanup()
