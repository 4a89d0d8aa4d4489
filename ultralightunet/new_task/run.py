"""From a folder of labelled images to a model folder; goes on where it was interrupted."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Generator
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..disk import clear_unfinished, replace_durably
from ..errors import InputError, ModelError, OutputError, TrainingError
from ..events import Epoch, Progress, finish
from ..models import Model, load_model, write_model
from ..retraining.candidate import temporary_model
from ..retraining.prepared import Prepared, prepared
from ..retraining.scoring import Labeller, scores_against
from .dataset import Dataset, LabelledImage, read_dataset
from .fingerprint import Wishes, chosen_model, fingerprint_of

if TYPE_CHECKING:
    from .learning import Processes

_FEWEST_TO_VALIDATE = 5
"""With fewer cases all of them train."""

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
    dataset: str | Path, folder: str | Path, wishes: Wishes | None = None, *, classes: tuple[str, ...] = ()
) -> Generator[Progress | Epoch, None, Model]:
    """Make a model of a folder of labelled images; every fifth case validates where there are at least five.

    What was learned so far lies in the folder `.NAME.training` beside the new one until that is written: called again with the same dataset
    and wishes, the training goes on from there. Closing the generator stops it.

    Args:
        dataset: see `read_dataset`.
        folder: the new model folder; must not exist.
        wishes: what not to leave to the fingerprint.
        classes: see `read_dataset`.

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
    init = load_model(wishes.init) if wishes.init else None
    found = yield from fingerprint_of(data)
    model = chosen_model(found, data, wishes, folder)
    if init is not None:
        model = replace(_like(model, init, wishes), parent=init.id)
    train_on, validate_on = split(data)
    cases: list[Prepared] = []
    for done, case in enumerate(train_on):
        yield Progress("Preparing", done, len(train_on))
        image = case.image()
        cases += prepared(image, data.target(case, image), model, name=case.name)
    yield Progress("Preparing", len(train_on), len(train_on))

    from .learning import learning, processes

    with processes(wishes.device) as group:
        beside = folder.absolute().parent / f".{folder.name}.training"
        if group.count > 1 and not wishes.steps:
            raise InputError("expected a number of steps for a training in several processes, found minutes; say --steps")
        if group.is_leader:
            _check_plan(beside, {"dataset": data.sha256, "wishes": _lasting(wishes), "model": _facts(model)})
        group.wait()
        validate = _validation(data, validate_on, model) if group.is_leader else None
        weights = yield from learning(model, init, cases, wishes, checkpoint=beside / "checkpoint.pt", validate=validate, group=group)
        if not group.is_leader:
            return model
        written = yield from _finished(model, weights, data, train_on, validate_on, wishes, group)
        shutil.rmtree(beside, ignore_errors=True)
        return written


def split(data: Dataset) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Cases that train and cases that validate."""
    if len(data.cases) < _FEWEST_TO_VALIDATE:
        return list(data.cases), []
    return [case for n, case in enumerate(data.cases) if n % 5], list(data.cases[::5])


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


def _finished(
    model: Model,
    weights: dict[str, np.ndarray],
    data: Dataset,
    train_on: list[LabelledImage],
    validate_on: list[LabelledImage],
    wishes: Wishes,
    group: Processes,
) -> Generator[Progress, None, Model]:
    """Measure the model as its users will run it, and write it."""
    scores: dict[str, Any] = {}
    if validate_on:
        with temporary_model(model, weights) as candidate:
            label, found = Labeller(candidate, threads=wishes.threads), []
            for done, case in enumerate(validate_on):
                yield Progress("Measuring", done, len(validate_on))
                image = case.image()
                found.append(scores_against(data.target(case, image), [label(image)])[0])
        scores = {"Dice on validation cases": {"cases": len(found), "mean": round(float(np.mean(found)), 4)}}
    origin = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "dataset_sha256": data.sha256,
        "processes": group.count,
        "seed": wishes.seed,
    }
    said = f"trained on {len(train_on)} case(s) of its user, {len(validate_on)} validated"
    return write_model(
        model.folder,
        replace(model, scores=scores, origin=origin),
        weights,
        licence_text=f"Licence of these weights: {model.licence}\n",
        metadata={"data_source": said, "changelog": {model.version: said}},
    )
