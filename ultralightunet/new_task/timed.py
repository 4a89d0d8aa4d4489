"""A training of so many minutes: a model that can be used within half a minute of learning, and better ones after that."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..disk import read_json, replace_durably
from ..errors import OutputError, TrainingError
from ..events import Epoch, Progress, Version, finish
from ..inference.session import Request, label_with
from ..learning.training import Plan, fit
from ..models import Model, read_model, write_model
from ..networks import network_with
from ..retraining.fitting import NetworkEngine, freeze_statistics, loss, weights_of
from ..retraining.prepared import Prepared, prepared
from ..retraining.sampling import Mixture, Sampler, window_of
from ..retraining.scoring import scores_against
from .dataset import Dataset, LabelledImage
from .gains import Gains
from .looks import augmentation_of
from .stages import Stage, first_seconds, later_stages
from .starts import Start
from .wishes import Wishes

Events = Generator[Progress | Epoch | Version, None, None]

_STATE = "versions.json"

_SCORE = "validation Dice"

_CASES_AT_FIRST = 24
"""That the first stretch learns from: with more the first model would have to wait until all are prepared."""

_MEASURED = 3
"""Cases left out that a version is measured on."""

_BATCH = {2: 4, 3: 2}
"""Samples of a step where each image is normalised by itself: many small steps are better than few large ones."""

_LONG = 120.0
"""Seconds of a stretch from which on it keeps checkpoints; a shorter one is begun anew after an interruption."""


@dataclass(frozen=True)
class Task:
    """What is to be learned, and how.

    Attributes:
        data: the cases.
        grades: the model on ever finer grids.
        starts: weights to choose from.
        left_out: cases that measure the versions; they train in the last stretch only, or never where `spares`.
        spares: whether there are cases enough to leave some out for good.
        wishes: see `Wishes`.
        folder: for what must outlive an interruption.
        device: of torch.
        clock: tells the seconds of `Wishes.minutes`.
        stop: once it is true, the best so far is kept.
    """

    data: Dataset
    grades: Sequence[Model]
    starts: Sequence[Start]
    left_out: Sequence[LabelledImage]
    spares: bool
    wishes: Wishes
    folder: Path
    device: str = "cpu"
    clock: Callable[[], float] = time.perf_counter
    stop: Callable[[], bool] = field(default=lambda: False)


@dataclass(frozen=True)
class Kept:
    """A version that is kept: `grade` is that of its grid, `loss` the mean of its last steps; the scores are of cases that it never saw."""

    number: int
    grade: int
    loss: float
    scores: dict[str, float]


@dataclass
class State:
    """How far a training has come; survives an interruption."""

    seconds: float = 0.0
    step_seconds: float = 0.0
    stages: int = 0
    start: str = ""
    versions: list[Kept] = field(default_factory=list)


def timed_training(task: Task) -> Generator[Progress | Epoch | Version, None, tuple[Model, float | None]]:
    """Train; goes on after the last finished stretch where an interrupted one left its versions in `Task.folder`.

    Returns:
        The best version, in its folder, and the mean Dice of the last one that was measured on cases that it had not seen.

    Raises:
        TrainingError: if the loss is no number, or what an interrupted training left is damaged.
        OutputError: if a version cannot be written.
    """
    return (yield from _Timed(task).run())


class _Timed:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.total = task.wishes.minutes * 60
        self.state = _read(task.folder)
        self.began = task.clock() - self.state.seconds
        self.steps = 0
        self.threads = task.wishes.threads or os.cpu_count() or 1
        torch.set_num_threads(self.threads)
        torch.manual_seed(task.wishes.seed)

    def run(self) -> Generator[Progress | Epoch | Version, None, tuple[Model, float | None]]:
        if not self.state.versions:
            yield from self._first()
        stages = later_stages(self._costs(), self.total - first_seconds(self.total))
        for number, stage in enumerate(stages):
            if number >= self.state.stages and not self.task.stop():
                yield from self._later(stage)
                self.state.stages = number + 1
                self._write_state()
        measured = [kept.scores[_SCORE] for kept in self.state.versions if kept.scores]
        return read_model(self._folder(self._best().number)), measured[-1] if measured else None

    # ---- the stretches

    def _first(self) -> Events:
        """Some steps from each start on the coarsest grid, then the version of the one that has learned most."""
        task = self.task
        training = [case for case in task.data.cases if case not in task.left_out]
        chosen = [training[n] for n in np.unique(np.linspace(0, len(training) - 1, _CASES_AT_FIRST).round().astype(int))]
        cases = yield from self._prepared(task.grades[0], chosen)
        seconds = first_seconds(self.total) / len(task.starts)
        tried = []
        for start in task.starts:
            model = start.facts(task.grades[0])
            begun, before = task.clock(), self.steps
            network, value = yield from self._learn(start.network(model), model, cases, seconds)
            cost = (task.clock() - begun) / max(1, self.steps - before)
            tried.append((value, cost, start, model, network))
            if task.stop():
                break
        value, self.state.step_seconds, start, model, network = min(tried, key=lambda found: found[0])
        self.state.start = start.name
        yield from self._keep(network, model, 0, value)

    def _later(self, stage: Stage) -> Events:
        task, before = self.task, self._best()
        start = next((start for start in task.starts if start.name == self.state.start), Start())
        model = start.facts(task.grades[stage.grade])
        out = () if stage.is_last and not task.spares else task.left_out
        cases = yield from self._prepared(model, [case for case in task.data.cases if case not in out])
        network: nn.Module = network_with(model.architecture, read_model(self._folder(before.number)).weights())
        if start.model:
            freeze_statistics(network)
        # What preparing and measuring took is taken off.
        left = max(1.0, self.total - self._elapsed())
        seconds = left if stage.is_last else min(stage.seconds, left)
        network, value = yield from self._learn(network, model, cases, seconds, long=seconds >= _LONG)
        if self.task.stop() and value > before.loss:
            # Stopped on the way up: the version before is better.
            return
        yield from self._keep(network, model, stage.grade, value, measure=bool(out))

    def _learn(
        self, network: nn.Module, model: Model, cases: Sequence[Prepared], seconds: float, *, long: bool = False
    ) -> Generator[Epoch, None, tuple[nn.Module, float]]:
        """Learn for so many seconds; the averaged network, and the mean loss at the end."""
        task, wishes = self.task, self.task.wishes
        window = window_of(model, [case.image.shape[1:] for case in cases])
        alone = model.architecture.norm == "instance" or bool(model.parent)
        batch = wishes.batch_size or (_BATCH[model.spatial_dims] if alone else _pictures(window, model.spatial_dims))
        augment = augmentation_of(model, len(task.data.cases))
        sampler = Sampler(cases, [], model, None, augment, mixture=Mixture(0, 0), seed=wishes.seed + len(self.state.versions))
        plan = Plan(
            steps=1_000_000, batch_size=batch, learning_rate=wishes.learning_rate, warm_up=10, average=0.99, every=10, seconds=seconds
        )
        gains = Gains()
        checkpoint = task.folder / f"stretch-{self.state.stages}.pt" if long else None
        # Threads inside each operator lose what they gain where another program wants a core; see `SideBySide`.
        together = min(self.threads, batch) if alone and task.device == "cpu" and self.threads > 1 else 0
        work = fit(
            network,
            sampler,
            loss,
            replace(plan, every=25) if long else plan,
            checkpoint=checkpoint,
            device=task.device,
            workers=wishes.workers,
            clock=task.clock,
            side_by_side=together,
            stop=lambda: task.stop() or gains.are_over,
        )
        before = self.steps
        try:
            while True:
                epoch = next(work)
                gains.add(epoch.step, epoch.loss)
                self.steps = before + epoch.step
                share = min(1.0, max(1e-3, self._elapsed() / self.total))
                yield replace(epoch, step=self.steps, steps=max(self.steps, round(self.steps / share)))
        except StopIteration as end:
            trained: nn.Module = end.value
        finally:
            work.close()
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        return trained.cpu(), gains.last

    def _prepared(self, model: Model, cases: Sequence[LabelledImage]) -> Generator[Progress, None, list[Prepared]]:
        found: list[Prepared] = []
        for done, case in enumerate(cases):
            yield Progress("Preparing", done, len(cases))
            image = case.image()
            found += prepared(image, self.task.data.target(case, image), model, name=case.name)
        yield Progress("Preparing", len(cases), len(cases))
        return found

    # ---- the versions

    def _keep(self, network: nn.Module, model: Model, grade: int, value: float, *, measure: bool = True) -> Events:
        """Write a version, measured where there are cases that it has not seen."""
        number = len(self.state.versions) + 1
        scores = self._scores(network, model) if measure and self.task.left_out else {}
        folder = self._folder(number)
        if folder.exists():
            # Written, but not noted, when the training was interrupted.
            shutil.rmtree(folder)
        write_model(folder, replace(model, scores=scores), weights_of(network), licence_text="of a training that has not ended\n")
        self.state.versions.append(Kept(number, grade, value, scores))
        self._write_state()
        yield Version(number, str(folder), scores, round(self._elapsed(), 2))

    def _scores(self, network: nn.Module, model: Model) -> dict[str, float]:
        engine, found = NetworkEngine(network.eval()), []
        for case in self.task.left_out[:_MEASURED]:
            image = case.image()
            labels = finish(label_with(engine, image, Request(model))).labels
            found.append(scores_against(self.task.data.target(case, image), [labels])[0])
        return {_SCORE: float(np.mean(found))}

    def _best(self) -> Kept:
        """The last version, or where cases are left out for good the one that does best on them."""
        versions = self.state.versions
        return max(versions, key=lambda kept: (kept.scores[_SCORE], kept.number)) if self.task.spares else versions[-1]

    def _folder(self, number: int) -> Path:
        return self.task.folder / "versions" / str(number)

    def _write_state(self) -> None:
        self.state.seconds = self._elapsed()
        try:
            replace_durably(self.task.folder / _STATE, json.dumps(asdict(self.state)).encode())
        except OSError as error:
            raise OutputError(
                f"expected to write to {self.task.folder}, found an obstacle: {error.strerror}; free space there, then go on"
            ) from error

    # ---- the time

    def _elapsed(self) -> float:
        return self.task.clock() - self.began

    def _costs(self) -> list[float]:
        """Seconds of a step on each grid, from the first one's and the sizes of their windows."""
        voxels = [float(np.prod(model.window)) for model in self.task.grades]
        return [self.state.step_seconds * count / voxels[0] for count in voxels]


def _pictures(window: Sequence[int], dims: int) -> int:
    """As many as batch norm needs for its statistics, less where they are large."""
    return max(2, min(8, round(1_000_000 / float(np.prod(window))))) if dims == 2 else 2


def _read(folder: Path) -> State:
    path = folder / _STATE
    if not path.exists():
        return State()
    try:
        facts = read_json(path)
        return State(**{**facts, "versions": [Kept(**kept) for kept in facts["versions"]]})
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise TrainingError(
            f"expected the state of an interrupted training in {path}, found a damaged file ({error}); delete {folder} to begin anew"
        ) from error
