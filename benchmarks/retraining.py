"""Whether five corrections bring a model back to images of another look: `python benchmarks/retraining.py --data DIR`.

Validation images of a shipped model are changed step by step (a strong bias field, coarser slices or less detail, a negative) until the
model loses at least ten points of Dice. Five of them are corrected, which is what the reference labels are for, and saved to a store; the
model is retrained by the call that every host makes. Measured are the other validation images, changed and as they were, with the model
before and after, at their own resolution. None of the measured images is seen in the retraining, changed or not.

`--unlabelled` takes further validation images, as they were and without their labels, for the other images that `ultralight retrain
--images` and the dock take; they are not measured either.

The time is that of training. Unless `--wall` is given it counts the processor seconds of all threads, divided by `--cores`, so that other
work on the machine does not shorten the training; what a second core really gains is a little less than that.

What was measured is kept in `--kept`, so that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from looks import STEPS, shifted
from results import machine, table, write_section

from ultralightunet.corrections import Store
from ultralightunet.corrections.files import image_hash
from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import dice
from ultralightunet.models import Model, list_models, load_model
from ultralightunet.retraining import Retraining, retrain
from ultralightunet.retraining.learning import Method
from ultralightunet.retraining.scoring import Labeller
from ultralightunet.volume import Segmentation, Volume

CORRECTED = 5
WANTED_LOSS = 0.10


@dataclass(frozen=True)
class Case:
    """One labelled image, as it was (in a file and read) and changed."""

    path: Path
    image: Volume
    shifted: Volume
    labels: Segmentation


@dataclass(frozen=True)
class Task:
    """A shipped model and its validation images with their labels."""

    name: str
    pairs: Callable[[Path], list[tuple[Path, Path]]]


def hippocampus(data: Path) -> list[tuple[Path, Path]]:
    """Every fifth case, as in training/hippocampus.py."""
    images = sorted((data / "hippocampus" / "imagesTr").glob("*_0000.nii.gz"))[::5]
    return [(path, data / "hippocampus" / "labelsTr" / path.name.replace("_0000", "")) for path in images]


def polyp(data: Path) -> list[tuple[Path, Path]]:
    """The validation folder, as in training/polyp.py."""
    folder = data / "clinicdb" / "val"
    return [(path, folder / "masks" / f"{path.stem}.png") for path in sorted((folder / "images").glob("*.jpg"))]


def breast_lesion(data: Path) -> list[tuple[Path, Path]]:
    """The validation folder, as in training/breast_lesion.py."""
    folder = data / "busi" / "val"
    return [(path, folder / "masks" / f"{path.stem}.png") for path in sorted((folder / "images").glob("*.jpg"))]


TASKS = (Task("hippocampus", hippocampus), Task("breast-lesion", breast_lesion), Task("polyp", polyp))


def score(labels: np.ndarray, reference: np.ndarray, classes: int) -> float:
    return float(np.mean([dice(labels == k, reference == k) for k in range(1, classes)]))


def mean_dice(model: Model, images: list[Volume], cases: list[Case], threads: int) -> float:
    label = Labeller(model, threads=threads)
    found = [score(label(image), case.labels.labels, len(model.classes)) for image, case in zip(images, cases, strict=True)]
    return float(np.mean(found))


def loaded(pairs: list[tuple[Path, Path]]) -> Iterator[tuple[Path, Volume, Segmentation]]:
    for image, labels in pairs:
        found = read_labels(labels)
        if labels.suffix == ".png":
            found = replace(found, labels=(found.labels > 0).astype(np.uint8))
        yield image, read_image(image), found


def cases_of(task: Task, model: Model, data: Path, threads: int) -> tuple[list[Case], int]:
    """All validation cases, changed by the fewest steps that cost the model enough."""
    pairs = list(loaded(task.pairs(data)))
    plain = [Case(path, image, image, labels) for path, image, labels in pairs]
    before = mean_dice(model, [case.image for case in plain], plain, threads)
    for steps in range(1, len(STEPS) + 1):
        cases = [Case(path, image, shifted(image, steps, n), labels) for n, (path, image, labels) in enumerate(pairs)]
        if mean_dice(model, [case.shifted for case in cases], cases, threads) <= before - WANTED_LOSS:
            break
    return cases, steps


@contextmanager
def own_home() -> Iterator[Path]:
    """Away from the user's models and stores."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("ULTRALIGHT_HOME")
        os.environ["ULTRALIGHT_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["ULTRALIGHT_HOME"]
            else:
                os.environ["ULTRALIGHT_HOME"] = before


def filled_store(folder: Path, model: Model, cases: list[Case], threads: int) -> Store:
    """A store with these cases corrected, all of which train: held-out ones would only be fewer to learn from."""
    store, label = Store(folder), Labeller(model, threads=threads)
    for case in cases:
        image = case.shifted
        prediction = Segmentation(label(image), image.affine, model.classes, image.has_spacing, model=model.id)
        sha256 = image_hash(image.array, image.affine, channels=image.channels, has_spacing=image.has_spacing)
        store.add(
            image, case.labels, prediction, classes=model.classes, modality=model.modality, seen_in_training=(sha256,), confirmed=True
        )
    return store


@dataclass(frozen=True)
class Budget:
    """How long a retraining may take."""

    minutes: float
    threads: int
    cores: int
    wall: bool

    def request(self, seed: int, images: Sequence[Path]) -> Retraining:
        clock = time.perf_counter if self.wall else lambda: time.process_time() / self.cores
        return Retraining(minutes=self.minutes, threads=self.threads, clock=clock, seed=seed, images=images)


def measure(cases: list[Case], name: str, budget: Budget, unlabelled: int, seed: int, *, kept: Path) -> dict[str, float]:
    """Dice before and after, on the cases that are neither corrected nor given without labels; as it was measured before where it was."""
    model, threads = load_model(name), budget.threads
    # Of the same weights, budget and way to learn.
    told = hashlib.sha256(repr((model.sha256, budget, len(cases), unlabelled, Method())).encode()).hexdigest()[:12]
    path = kept / f"{name}-{seed}-{told}.json"
    if path.exists():
        return {key: float(value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()}
    order = np.random.default_rng(seed).permutation(len(cases))
    parts = (order[:CORRECTED], order[CORRECTED : CORRECTED + unlabelled], sorted(order[CORRECTED + unlabelled :]))
    corrected, others, unseen = ([cases[n] for n in part] for part in parts)
    with own_home() as home:
        store = filled_store(home / "store", model, corrected, threads)
        cpu, wall = time.process_time(), time.perf_counter()
        outcome = retrain(store, model, budget.request(seed, [case.path for case in others]))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        found = {"cpu": cpu, "wall": wall, "measured": len(unseen), "drift": outcome.drift.agreement if outcome.drift else math.nan}
        known = outcome.exemplars
        found["known before"], found["known after"] = (known.parent, known.candidate) if known else (math.nan, math.nan)
        found["promoted"] = float(outcome.decision == "promoted")
        for look, images in (("shifted", [c.shifted for c in unseen]), ("original", [c.image for c in unseen])):
            found[f"{look} before"] = mean_dice(model, images, unseen, threads)
            found[f"{look} after"] = mean_dice(outcome.model, images, unseen, threads)
    lost = found["original before"] - found["shifted before"]
    found["lost"], found["regained"] = lost, (found["shifted after"] - found["shifted before"]) / lost
    found["forgotten"] = found["original before"] - found["original after"]
    print(name, seed, {key: round(value, 4) for key, value in found.items()}, outcome.sentence, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".partial").write_text(json.dumps(found), encoding="utf-8")
    path.with_suffix(".partial").replace(path)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with `hippocampus`, `busi` and `clinicdb`")
    parser.add_argument("--models", nargs="+", choices=[task.name for task in TASKS], default=[task.name for task in TASKS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=2.5, help="of training")
    parser.add_argument("--unlabelled", type=int, nargs="+", default=[0, 10], help="how many other images are given; each number is a row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2, help="that processor seconds are divided by")
    parser.add_argument("--jobs", type=int, default=1, help="seeds side by side; for processor time only")
    parser.add_argument("--wall", action="store_true", help="count wall-clock time, on a machine that does nothing else")
    parser.add_argument("--kept", type=Path, default=Path(".runs/retraining"), help="folder for what was measured")
    parser.add_argument("--print-only", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    budget = Budget(options.minutes, options.threads, options.cores, options.wall)
    rows: list[list[object]] = []
    for task in TASKS:
        if task.name not in options.models:
            continue
        if not any(model.name == task.name for model in list_models()):
            print(f"{task.name} is left out: there is no such model", flush=True)
            continue
        model = load_model(task.name)
        cases, steps = cases_of(task, model, options.data, options.threads)
        change = " + ".join(name for name, _ in STEPS[:steps])
        # Each in a process of its own, also so that processor time is counted apart.
        with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            runs = list(product(options.unlabelled, range(options.seeds)))
            several = list(pool.map(partial(measure, cases, task.name, budget, kept=options.kept), *zip(*runs, strict=True)))
        for (unlabelled, seed), found in zip(runs, several, strict=True):
            dices = [f"{found[name]:.3f}" for name in ("original before", "original after", "shifted before", "shifted after")]
            shares = [f"{found['regained']:.0%}", f"{100 * found['forgotten']:+.1f}"]
            minutes = f"{found['cpu'] / options.cores / 60:.1f}"
            used = "child" if found["promoted"] else "parent"
            agreement = f"{found['drift']:.3f}"
            dices += [f"{found[name]:.3f}" for name in ("known before", "known after")]
            rows.append([model.id, change, unlabelled, seed, f"{found['measured']:.0f}", *dices, *shares, agreement, used, minutes])
    counted = "wall-clock time" if options.wall else f"processor time over {options.cores} cores"
    head = (
        "model",
        "change",
        "other images",
        "seed",
        "cases",
        "original before",
        "after",
        "changed before",
        "after",
        "exemplars before",
        "after",
        "regained",
        "points lost",
        "agreement on others",
        "then in use",
        "min in all",
    )
    others = " ".join(map(str, options.unlabelled))
    command = (
        f"python benchmarks/retraining.py --data DIR --minutes {options.minutes:g} --unlabelled {others} --threads {options.threads} "
        f"--cores {options.cores}"
    )
    text = "\n\n".join(
        (
            f"{CORRECTED} corrected images of another look; mean Dice on the other validation images before and after. Wanted: at "
            f"least 50 % of the loss regained, at most 1 point lost on the original images, at most 3 minutes ({counted}) with everything. "
            "None is held out: the estimate by cross-validation and the exemplars that the model brings along decide which is used then. "
            f"`{command}`",
            table(head, rows),
            machine(options.threads),
        )
    )
    print(text)
    if not options.print_only:
        write_section("Retraining on another look", text)


if __name__ == "__main__":
    main()
