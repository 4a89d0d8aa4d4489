"""A training by time: a first model soon, better ones after that, the best so far whenever it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_task import picture, write_dataset
from ultralightunet import load_model, segment
from ultralightunet.cli.train import BestSoFar
from ultralightunet.events import Epoch, Progress, Version, finish
from ultralightunet.metrics import dice
from ultralightunet.models import Model, read_model
from ultralightunet.new_task import Wishes, training

TIMED = Wishes(name="discs", variant="T", minutes=2, learning_rate=1e-2, threads=1, modality="photo", init="none", device="cpu")


def ticking(seconds: float = 1.0) -> Callable[[], float]:
    """A clock by which so much passes between two looks at it."""
    looks = count()
    return lambda: seconds * next(looks)


def score(model: Model) -> float:
    found = []
    for seed in range(4):
        image, labels = picture(seed)
        found.append(dice(segment(image, model).labels == 1, labels.labels == 1))
    return float(np.mean(found))


def trained(data: Path, folder: Path, wishes: Wishes = TIMED, **options: Any) -> tuple[Model, list[Any]]:
    events: list[Any] = []
    model = finish(training(data, folder, wishes, classes=("disc",), clock=ticking(), **options), events.append)
    return model, events


@pytest.mark.slow
def test_a_first_version_can_be_used_long_before_the_training_ends_and_the_last_is_better(tmp_path: Path) -> None:
    work = training(write_dataset(tmp_path / "data", 5), tmp_path / "discs", TIMED, classes=("disc",), clock=ticking(0.4))
    versions, early = [], 0.0
    steps: list[Epoch] = []

    def watch(event: Any) -> None:
        nonlocal early
        if isinstance(event, Epoch):
            steps.append(event)
        if isinstance(event, Version):
            versions.append(event)
            if event.number == 1:
                early = score(read_model(Path(event.folder)))

    model = finish(work, watch)
    assert [version.number for version in versions] == list(range(1, len(versions) + 1))
    assert len(versions) >= 2
    assert versions[0].seconds < 0.25 * 120 < versions[-1].seconds
    assert score(load_model(model.folder)) > max(0.8, early - 0.02)
    assert [event.step for event in steps] == sorted({event.step for event in steps})
    assert all(event.step <= event.steps for event in steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "discs"]


def test_one_case_trains_whole_and_gives_no_estimate(tmp_path: Path) -> None:
    model, events = trained(write_dataset(tmp_path / "data", 1), tmp_path / "discs", replace(TIMED, minutes=0.4))
    assert dict(model.scores) == {}
    assert {event.total for event in events if isinstance(event, Progress) and event.stage == "Preparing"} == {1}


def test_of_a_few_cases_all_train_in_the_end_and_the_score_is_said_to_be_an_estimate(tmp_path: Path) -> None:
    model, events = trained(write_dataset(tmp_path / "data", 3), tmp_path / "discs", replace(TIMED, minutes=0.4))
    assert list(model.scores) == ["Dice on cases left out at first, an estimate"]
    assert model.scores["Dice on cases left out at first, an estimate"]["cases"] == 1
    assert [event.total for event in events if isinstance(event, Progress) and event.stage == "Preparing" and not event.done] == [2, 3]
    assert "trained on 3 case(s)" in model.metadata["data_source"]


def test_of_many_cases_every_fifth_never_trains(tmp_path: Path) -> None:
    model, events = trained(write_dataset(tmp_path / "data", 20), tmp_path / "discs", replace(TIMED, minutes=0.4))
    assert model.scores["Dice on validation cases"]["cases"] == 4
    assert max(event.total for event in events if isinstance(event, Progress) and event.stage == "Preparing") == 16


def test_stopped_it_keeps_the_best_so_far(tmp_path: Path) -> None:
    versions: list[Version] = []
    work = training(
        write_dataset(tmp_path / "data", 2),
        tmp_path / "discs",
        replace(TIMED, minutes=1000),
        classes=("disc",),
        clock=ticking(),
        stop=lambda: bool(versions),
    )
    model = finish(work, lambda event: versions.append(event) if isinstance(event, Version) else None)
    assert len(versions) == 1
    assert model.folder == tmp_path / "discs"
    assert segment(picture(1)[0], model).labels.shape == (64, 64)


def test_an_interrupted_training_goes_on_from_its_last_version(tmp_path: Path) -> None:
    data, folder = write_dataset(tmp_path / "data", 2), tmp_path / "discs"
    work = training(data, folder, TIMED, classes=("disc",), clock=ticking())
    first = next(event for event in work if isinstance(event, Version))
    work.close()
    assert not folder.exists()
    assert read_model(Path(first.folder)).name == "discs"
    model, events = trained(data, folder)
    assert next(event for event in events if isinstance(event, Version)).number == 2
    assert model.folder == folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "discs"]


def test_ctrl_c_cancels_before_there_is_a_version_and_keeps_the_best_after_it() -> None:
    kept = BestSoFar(None)
    with pytest.raises(KeyboardInterrupt):
        kept.interrupted(2, None)
    kept(Version(1, "somewhere"))
    assert not kept.is_wanted()
    kept.interrupted(2, None)
    assert kept.is_wanted()
    with pytest.raises(KeyboardInterrupt):
        kept.interrupted(2, None)
