"""A model is retrained from beginning to end: it learns, it takes its parent's place only if it is better, and nothing is ever lost."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.full_disk import full_disk
from tests.small_models import small_model
from tests.tiny_task import CLASSES, corrected, disc_model, picture
from ultralightunet import InputError, LabelClass, ModelError, OutputError, Segmentation, Volume
from ultralightunet.child import run_child
from ultralightunet.corrections import Revision, Store
from ultralightunet.errors import UltraLightError
from ultralightunet.events import Epoch, Progress, finish
from ultralightunet.models import Model, install_model, load_model, read_model, trace, versions
from ultralightunet.retraining import Outcome, Retraining, retrain, retraining
from ultralightunet.retraining.learning import Method
from ultralightunet.retraining.sampling import Mixture
from ultralightunet.retraining.scoring import Labeller, scores_against

pytestmark = pytest.mark.usefixtures("one_thread")

FAST = Method(learning_rate=1e-2, mixture=Mixture(rehearsal=0.25, familiar=0.0), share=1.0, batch_size=2, average=0.9)
GENTLE = Method(learning_rate=1e-6)


def asked(steps: int, method: Method = FAST, **options: Any) -> Retraining:
    """A retraining that counts steps, not time."""
    return Retraining(steps=steps, threads=1, method=method, **options)


def mean_dice(model: Model, *, faint: bool) -> float:
    label = Labeller(model, threads=1)
    found = [picture(seed, faint=faint) for seed in range(500, 506)]
    return float(np.mean([scores_against(labels.labels.astype(np.int16), [label(image)])[0] for image, labels in found]))


def held_out(store: Store, count: int, **options: Any) -> list[Revision]:
    """Save pictures until so many of them are held out by chance."""
    seeds = itertools.count(2000)
    while len(store.cases("holdout") if store.exists else []) < count:
        seed = next(seeds)
        corrected(store, range(seed, seed + 1), train_only=False, **options)
    return store.cases("holdout")


def bright_images(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    for seed in range(count):
        Image.fromarray(picture(700 + seed)[0].array).save(folder / f"{seed}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---- it learns


@pytest.mark.slow
def test_it_learns_from_a_few_corrections_and_asks_where_none_is_held_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(5))
    parent, before = disc_model(), contents(disc_model().folder)
    events: list[Any] = []
    # Cross-validation gets less than a sixth of the steps for each of its halves.
    outcome = finish(retraining(store, parent, asked(150)), events.append)
    assert mean_dice(parent, faint=True) < 0.5
    assert mean_dice(outcome.model, faint=True) > 0.8
    assert outcome.decision == "ask"
    assert outcome.holdout is None
    assert outcome.estimate is not None
    assert outcome.estimate.cases == 5
    assert outcome.estimate.candidate > outcome.estimate.parent
    assert load_model("discs").id == outcome.parent == "discs@1.0.0"
    assert outcome.model.id == "discs@1.0.0+r1"
    assert contents(parent.folder) == before
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert any("validation Dice" in event.scores for event in epochs)
    assert all(0 < event.step <= event.steps for event in epochs)
    assert {event.stage for event in events if isinstance(event, Progress)} >= {"Preparing", "Comparing", "Saving"}


def test_what_it_came_from_is_in_its_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    saved = corrected(store, range(2))
    first = retrain(store, disc_model(), asked(1))
    second = retrain(store, first.model, asked(1))
    assert [version.model.version for version in versions("discs")] == ["1.0.0", "1.0.0+r1", "1.0.0+r2"]
    assert [step["model"] for step in trace(second.model)] == ["discs@1.0.0+r2", "discs@1.0.0+r1", "discs@1.0.0"]
    cases = {case["case"]: case for case in first.model.origin["cases"]}
    for revision in saved:
        assert cases[revision.case]["image_sha256"] == revision.image_sha256
        assert cases[revision.case]["labels_sha256"] == revision.content["labels"]
    assert first.cases == tuple(sorted(revision.name for revision in saved))
    assert versions("discs")[1].created.startswith("20")
    assert "Dice by cross-validation, an estimate" in first.model.scores
    assert (first.model.folder / "LICENSE").read_text() == (disc_model().folder / "LICENSE").read_text()
    assert first.model.metadata["changelog"]["1.0.0+r1"] == "retrained from 1.0.0 on 2 corrected case(s)"


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_one_corrected_slice_of_one_volume_is_enough(tmp_path: Path, norm: str) -> None:
    # With voxels of 8 mm the sample scans, on which the versions are compared, are small as well.
    model = small_model(tmp_path / "model", norm=norm, spacing=(8.0, 8.0, 8.0))
    rng = np.random.default_rng(0)
    image = Volume(rng.integers(0, 200, (20, 24, 28)).astype(np.int16), np.diag([8.0, 8.0, 8.0, 1.0]))
    labels = Segmentation(rng.integers(0, 3, image.shape).astype(np.uint8), image.affine, model.classes)
    store = Store(tmp_path / "store")
    store.add(image, labels, None, checked={0: [7]}, seen_in_training=_hash_of(image))
    outcome = retrain(store, model, asked(2, Method()))
    assert outcome.decision == "ask"
    assert outcome.estimate is None
    assert "One corrected case alone allows no estimate" in outcome.sentence
    assert outcome.model.weights().keys() == model.weights().keys()
    assert any(not np.array_equal(model.weights()[name], values) for name, values in outcome.model.weights().items())


def _hash_of(image: Volume) -> tuple[str]:
    from ultralightunet.corrections.files import image_hash

    return (image_hash(image.array, image.affine, channels=image.channels, has_spacing=image.has_spacing),)


@pytest.mark.slow
def test_a_class_is_added_and_what_was_saved_before_does_not_speak_against_it(tmp_path: Path) -> None:
    """Old labels know discs only. New ones also label the dark stripe; the old ones call that stripe background."""
    store = Store(tmp_path / "store")
    classes = (*CLASSES, LabelClass(2, "stripe", (1, 2, 3)))
    for seed in range(6):
        image, labels = striped(seed)
        drawn = labels.labels.copy()
        if seed >= 3:
            drawn[:, :10] = 2
        saved = Segmentation(drawn, image.affine, classes if seed >= 3 else CLASSES, has_spacing=False)
        store.add(image, saved, None, classes=saved.classes, confirmed=True, seen_in_training=_hash_of(image))
    request = asked(150, new_classes=(LabelClass(-1, "stripe"), LabelClass(-1, "never drawn", (9, 9, 9))))
    outcome = retrain(store, disc_model(), request)
    assert [entry.name for entry in outcome.model.classes] == ["background", "disc", "stripe", "never drawn"]
    found = Labeller(outcome.model, threads=1)(striped(600)[0])
    assert (found[:, :8] == 2).mean() > 0.7
    assert (found[:, 20:] == 2).mean() < 0.1
    assert mean_dice(outcome.model, faint=False) > 0.7


def striped(seed: int) -> tuple[Volume, Segmentation]:
    """A picture of a disc with a dark stripe on its left."""
    image, labels = picture(seed)
    grey, drawn = image.array.copy(), labels.labels.copy()
    grey[:, :10], drawn[:, :10] = grey[:, :10] // 8, 0
    return Volume(grey, has_spacing=False), Segmentation(drawn, labels.affine, CLASSES, has_spacing=False)


def test_it_learns_for_as_many_minutes_as_were_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(1))
    now, steps = 0.0, 0

    def pass_time(event: Any) -> None:
        nonlocal now, steps
        if isinstance(event, Epoch):
            now, steps = now + 10, steps + 1

    request = Retraining(minutes=1, threads=1, method=GENTLE, clock=lambda: now)
    outcome = finish(retraining(store, disc_model(), request), pass_time)
    # When the seventh step ends, 60 s have passed since the first began.
    assert steps == 7
    assert outcome.model.origin["minutes"] == 1
    assert "steps" not in outcome.model.origin


# ---- who takes the parent's place


def test_what_is_no_worse_is_used_from_then_on(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(3), faint=False)
    held_out(store, 2, faint=False)
    outcome = retrain(store, disc_model(), asked(2, GENTLE, images=(bright_images(tmp_path / "images"),)))
    assert outcome.decision == "promoted", outcome.sentence
    assert outcome.drift is not None
    assert outcome.drift.images == 2
    assert outcome.drift.agreement > 0.98
    assert outcome.estimate is None
    assert load_model("discs").id == outcome.model.id


def test_what_is_worse_is_kept_aside_and_the_figures_say_why(tmp_path: Path) -> None:
    """Someone saved labels that are upside down; the held-out cases are right."""
    store = Store(tmp_path / "store")
    held = held_out(store, 2, faint=False)
    kept_right = {revision.image_sha256 for revision in held}
    seeds = range(2000, 2000 + len(store.cases()))
    for seed in (seed for seed in seeds if _hash_of(picture(seed)[0])[0] not in kept_right):
        # What chance did not hold out is saved once more, upside down.
        corrected(store, range(seed, seed + 1), faint=False, wrong=True)
    corrected(store, range(4), faint=False, wrong=True)
    outcome: Outcome = retrain(store, disc_model(), asked(60, images=(bright_images(tmp_path / "images"),)))
    assert outcome.decision == "kept"
    assert outcome.holdout is not None
    assert outcome.holdout.cases == len(held)
    assert outcome.holdout.candidate < outcome.holdout.parent - 0.1
    assert f"{outcome.holdout.parent:.3f} before, {outcome.holdout.candidate:.3f} now" in outcome.sentence
    assert load_model("discs").version == "1.0.0"
    assert outcome.model.id in [version.model.id for version in versions("discs")]
    assert not {revision.name for revision in held} & set(outcome.cases)


def test_whoever_accepts_it_beforehand_is_not_asked(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(2), faint=False)
    outcome = retrain(store, disc_model(), asked(1, GENTLE, accept=True))
    assert outcome.decision == "promoted"
    assert load_model("discs").id == outcome.model.id


# ---- nothing is lost


def until_training(work: Iterator[Any]) -> None:
    next(event for event in work if isinstance(event, Epoch))


def test_a_cancelled_retraining_leaves_everything_as_it_was(tmp_path: Path, ultralight_home: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(3))
    install_model(disc_model().folder)
    # Beside the models the parent itself is kept, compiled.
    before, saved = contents(ultralight_home / "models"), contents(store.folder)
    work = retraining(store, "discs", asked(1000))
    until_training(work)
    work.close()
    assert contents(ultralight_home / "models") == before
    assert {path.name for path in ultralight_home.iterdir()} == {"models", "cache"}
    assert contents(store.folder) == saved


def test_a_model_deleted_while_it_is_retrained_is_named_and_no_correction_is_lost(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(2))
    parent = install_model(disc_model().folder)
    work = retraining(store, "discs", asked(3))
    until_training(work)
    shutil.rmtree(parent.folder)
    with pytest.raises(ModelError, match="expected the folder of discs@1.0.0 at .*found that it is gone"):
        finish(work)
    assert store.check().whole
    assert not list(parent.folder.parent.glob("*+r*"))


def test_a_full_disk_leaves_no_half_a_version(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(2))
    parent = install_model(disc_model().folder)
    with full_disk(), pytest.raises(OutputError, match="free|written"):
        retrain(store, "discs", asked(1))
    assert [path.name for path in parent.folder.parent.iterdir() if not path.name.startswith(".")] == ["1.0.0"]
    assert load_model("discs").version == "1.0.0"
    assert store.check().whole


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (lambda store: None, "expected a store of corrections, found none"),
        (lambda store: corrected(store, range(1), faint=False), None),
    ],
)
def test_what_cannot_begin_says_so_at_once(tmp_path: Path, arrange: Callable[[Store], Any], expected: str | None) -> None:
    store = Store(tmp_path / "store")
    arrange(store)
    if expected:
        with pytest.raises(InputError, match=expected):
            retrain(store, disc_model(), asked(1))
    with pytest.raises(InputError, match="expected a time above 0 minutes"):
        retrain(store, disc_model(), Retraining(minutes=0))
    with pytest.raises(InputError, match="expected a number of steps above 0, found -1"):
        retrain(store, disc_model(), asked(-1))
    with pytest.raises(ModelError, match="expected a model folder or an installed model"):
        retrain(store, "none", asked(1))


# ---- the command


def command(store: Path, *more: str, model: str = "discs") -> list[str]:
    return ["retrain", str(store), "--model", model, "--steps", "4", "--threads", "1", *more]


@pytest.mark.slow
def test_the_command_tells_what_the_hosts_need(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(2))
    events: list[Any] = []
    result = finish(run_child(command(store.folder, "--new-class", "edge:#010203", model=str(disc_model().folder))), events.append)
    assert set(result) == {
        "event", "model", "folder", "parent", "decision", "sentence", "holdout", "estimate", "exemplars", "drift", "cases", "seconds",
    }  # fmt: skip
    assert (result["model"], result["parent"], result["decision"]) == ("discs@1.0.0+r1", "discs@1.0.0", "ask")
    assert set(result["estimate"]) == {"cases", "parent", "candidate"}
    assert read_model(Path(result["folder"])).classes[2] == LabelClass(2, "edge", (1, 2, 3))
    # Two halves of an estimate have a step each, which leaves three of four for the whole.
    assert [(event.step, event.steps) for event in events if isinstance(event, Epoch)] == [(1, 1), (1, 1), (1, 3), (2, 3), (3, 3)]


@pytest.mark.slow
def test_a_retraining_that_is_killed_leaves_no_half_a_version(tmp_path: Path, ultralight_home: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(2))
    install_model(disc_model().folder)
    code = [sys.executable, "-m", "ultralightunet", "retrain", str(store.folder), "--model", "discs", "--steps", "100000", "--json"]
    process = subprocess.Popen(code, stdout=subprocess.PIPE, text=True, env={**os.environ, "ULTRALIGHT_HOME": str(ultralight_home)})
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "epoch":
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert store.check().whole
    assert [version.model.version for version in versions("discs")] == ["1.0.0"]


@pytest.mark.slow
def test_two_retrainings_at_once_make_two_versions(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(1))
    install_model(disc_model().folder)
    works = [run_child(command(store.folder)) for _ in range(2)]
    with ThreadPoolExecutor(2) as both:
        results = list(both.map(finish, works))
    assert {result["model"] for result in results} == {"discs@1.0.0+r1", "discs@1.0.0+r2"}


def test_a_faulty_call_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UltraLightError, match="^expected a store of corrections, found none"):
        finish(run_child(command(tmp_path / "none", model="brain")))
