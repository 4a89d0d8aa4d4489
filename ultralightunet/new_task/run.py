"""From a folder of labelled images to a model folder; goes on where it was interrupted."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..disk import clear_unfinished, replace_durably
from ..errors import InputError, ModelError, OutputError, TrainingError
from ..events import Epoch, Note, Progress, Version, finish
from ..models import Model, load_model
from ..retraining.prepared import Prepared, prepared
from ..retraining.scoring import scores_against
from .choosing import chosen_model, grades
from .dataset import Dataset, LabelledImage, read_dataset
from .fingerprint import fingerprint_of
from .finishing import finished, left_out_at_first, split
from .wishes import Wishes

if TYPE_CHECKING:
    from .learning import Processes

_FEWEST_TO_VALIDATE = 5
"""With fewer cases all of them train in a training by steps."""

_FEWEST_TO_SPARE = 20
"""With fewer cases all of them train in the end of a training by time."""

FROM_NOTHING = "none"
"""`Wishes.init` of a training that is to start from random weights."""

PLAN = "plan.json"


def train(dataset: str | Path, folder: str | Path, wishes: Wishes | None = None, *, classes: tuple[str, ...] = ()) -> Model:
    """Make a model; see `training`.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> from ultralightunet.new_task import Wishes, train
        >>> mask = np.zeros((64, 64), np.uint8)
        >>> mask[20:40, 20:40] = 255
        >>> for folder in ("images", "masks"):
        ...     Path("squares", folder).mkdir(parents=True)
        ...     Image.fromarray(mask).save(f"squares/{folder}/1.png")
        >>> model = train("squares", "square", Wishes(variant="T", steps=2, batch_size=1, threads=1), classes=("square",))
        >>> model.id, [entry.name for entry in model.classes]
        ('square@1.0.0', ['background', 'square'])
    """
    return finish(training(dataset, folder, wishes, classes=classes))


def training(
    dataset: str | Path,
    folder: str | Path,
    wishes: Wishes | None = None,
    *,
    classes: tuple[str, ...] = (),
    clock: Callable[[], float] = time.perf_counter,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Progress | Epoch | Version | Note, None, Model]:
    """Make a model of a folder of labelled images.

    By time (`Wishes.minutes`): the network learns on a coarse grid first and on finer ones then, from weights that some steps of each
    candidate choose. A `Version` can be used after some seconds of learning; better ones follow. Of fewer than 20 cases some are left out
    at first, for an estimate, and all train in the end; of more every fifth one validates and never trains. It ends early when it no
    longer gains. By steps (`Wishes.steps`): on the finest grid, the same weights in every run; every fifth case validates where there are
    at least five.

    What was learned so far lies in the folder `.NAME.training` beside the new one until that is written: called again with the same dataset
    and wishes, the training goes on from there. Closing the generator stops it.

    Args:
        dataset: see `read_dataset`.
        folder: the new model folder; must not exist.
        wishes: what not to leave to the fingerprint.
        classes: see `read_dataset`.
        clock: tells the seconds that `Wishes.minutes` counts.
        stop: asked after each step of a training by time; once it is true, the best so far becomes the model.

    Returns:
        The model. In a training of several processes all but the first one return it unread, with nothing but its facts.

    Raises:
        InputError: if the dataset cannot be used.
        ModelError: if there is something at `folder`, or `wishes.init` cannot be used.
        OutputError: if the model or a checkpoint cannot be written.
        TrainingError: if the training failed, or an interrupted one at this place was of other data or wishes.

    Example:
        >>> from ultralightunet.new_task import training
        >>> next(training("squares", "square", classes=("square",)))
        Traceback (most recent call last):
        ultralightunet.errors.InputError: expected a folder with labelled images, found none at squares; check the name
    """
    wishes, folder = wishes or Wishes(), Path(folder)
    if os.path.lexists(folder):
        raise ModelError(f"expected a new folder, found {folder}; models are never rewritten, choose another name")
    if find_spec("torch") is None:
        raise InputError("expected PyTorch to train with, found none installed; pip install 'napari-ultralight[train]'")
    data = read_dataset(dataset, classes=classes)
    init = load_model(wishes.init) if wishes.init not in ("", FROM_NOTHING) else None
    found = yield from fingerprint_of(data)
    if init is None:
        models = grades(found, data, wishes, folder)
    else:
        models = (replace(_like(chosen_model(found, data, wishes, folder), init, wishes), parent=init.id),)

    from .learning import processes

    with processes(wishes.device) as group:
        beside = folder.absolute().parent / f".{folder.name}.training"
        if group.count > 1 and not wishes.steps:
            raise InputError("expected a number of steps for a training in several processes, found minutes; say --steps")
        if group.is_leader:
            _check_plan(beside, {"dataset": data.sha256, "wishes": _lasting(wishes), "model": _facts(models[-1])})
        group.wait()
        if wishes.steps:
            written = yield from _by_steps(data, models[-1], init, wishes, beside, group)
        else:
            written = yield from _by_time(data, models, init, wishes, beside, group, clock, stop)
        if group.is_leader:
            shutil.rmtree(beside, ignore_errors=True)
        return written


def _by_steps(
    data: Dataset, model: Model, init: Model | None, wishes: Wishes, beside: Path, group: Processes
) -> Generator[Progress | Epoch, None, Model]:
    """So many steps on the finest grid: the same weights in every run, in one process or several."""
    from .learning import learning

    train_on, validate_on = split(data, _FEWEST_TO_VALIDATE)
    cases: list[Prepared] = []
    for done, case in enumerate(train_on):
        yield Progress("Preparing", done, len(train_on))
        image = case.image()
        cases += prepared(image, data.target(case, image), model, name=case.name)
    yield Progress("Preparing", len(train_on), len(train_on))
    validate = _validation(data, validate_on, model) if group.is_leader else None
    weights = yield from learning(model, init, cases, wishes, checkpoint=beside / "checkpoint.pt", validate=validate, group=group)
    if not group.is_leader:
        return model
    return (yield from finished(model, weights, data, validate_on, wishes, processes=group.count))


def _by_time(
    data: Dataset,
    models: Sequence[Model],
    init: Model | None,
    wishes: Wishes,
    beside: Path,
    group: Processes,
    clock: Callable[[], float],
    stop: Callable[[], bool],
) -> Generator[Progress | Epoch | Version, None, Model]:
    """So many minutes, a model that can be used soon, and better ones after that."""
    from .starts import Start, possible_starts
    from .timed import Task, timed_training

    spares = len(data.cases) >= _FEWEST_TO_SPARE
    left_out = split(data, 0)[1] if spares else left_out_at_first(data)
    starts = (Start(init),) if init or wishes.init else possible_starts(models[0], wishes)
    task = Task(data, models, starts, left_out, spares, wishes, beside, group.device, clock, stop)
    model, score = yield from timed_training(task)
    licence = next((start.model.licence for start in starts if start.model and start.name == model.parent), "")
    if licence and wishes.licence == Wishes.licence:
        model = replace(model, licence=licence)
    estimate = (len(left_out), score) if score is not None and not spares else None
    facts = replace(model, folder=models[-1].folder, scores={})
    return (yield from finished(facts, model.weights(), data, left_out if spares else (), wishes, estimate=estimate))


def _like(model: Model, init: Model, wishes: Wishes) -> Model:
    """A network whose weights can start from those of `init`: its widths and norm, and its grid unless told otherwise."""
    network, start = model.architecture, init.architecture
    if (network.spatial_dims, network.in_channels) != (start.spatial_dims, start.in_channels):
        raise ModelError(
            f"expected a model in {network.spatial_dims}D with {network.in_channels} channel(s) to start from, found {init.id} in "
            f"{start.spatial_dims}D with {start.in_channels}; choose another for --init"
        )
    if wishes.variant or wishes.channels or wishes.norm:
        raise InputError("expected the widths and norm of the model to start from, found others asked for; leave out --variant and --norm")
    same_grid = not (wishes.spacing or wishes.size)
    return replace(
        model,
        architecture=replace(network, channels=start.channels, norm=start.norm),
        spacing=init.spacing if same_grid else model.spacing,
        size=init.size if same_grid else model.size,
        window=init.window if same_grid and not wishes.window else model.window,
        whole=init.whole if same_grid else model.whole,
        intensity=model.intensity if wishes.intensity else init.intensity,
    )


def _check_plan(beside: Path, facts: dict[str, Any]) -> None:
    """Note what is trained, or see that an interrupted training was of the same."""
    path = beside / PLAN
    said = json.dumps(facts, indent=2, sort_keys=True)
    try:
        if path.exists():
            if path.read_text(encoding="utf-8") != said:
                raise TrainingError(
                    f"expected the training that was interrupted in {beside} to be of the same data and options, found another one; "
                    "give the same, or delete that folder to begin anew"
                )
            return
        beside.mkdir(parents=True, exist_ok=True)
        clear_unfinished(beside)
        replace_durably(path, said.encode())
    except OSError as error:
        raise OutputError(f"expected to write to {beside}, found an obstacle: {error.strerror}; choose another place for -o") from error


def _lasting(wishes: Wishes) -> dict[str, Any]:
    """What must be the same when a training goes on: not how long, nor on what machine."""
    passing = ("minutes", "steps", "threads", "device", "workers")
    return {name: value for name, value in asdict(wishes).items() if name not in passing}


def _facts(model: Model) -> dict[str, Any]:
    facts = asdict(replace(model, folder=Path()))
    return json.loads(json.dumps({name: value for name, value in facts.items() if name != "folder"}))  # type: ignore[no-any-return]


def _validation(data: Dataset, cases: list[LabelledImage], model: Model) -> Any:
    from ..inference.session import Request, label_with
    from .learning import NetworkEngine

    # A few, through the product's own path; all of them measure the finished model.
    chosen = cases[:: max(1, len(cases) // 8)][:8]

    def validate(network: Any) -> dict[str, float]:
        engine, found = NetworkEngine(network), []
        for case in chosen:
            image = case.image()
            labels = finish(label_with(engine, image, Request(model))).labels
            found.append(scores_against(data.target(case, image), [labels])[0])
        return {"validation Dice": float(np.mean(found))}

    return validate if chosen else None
