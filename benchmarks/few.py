"""First models from very few labelled cases: `python benchmarks/few.py --data DIR`, the call that every host makes, on draws of the data.

For each task so many cases are drawn from its training part, a model is trained on them for some minutes, and all images of the validation
part are labelled through the product's own path. The intervals are those of the mean over the validation images of all draws, by a
bootstrap of the images.

Seconds are those of the wall, on a machine that does nothing else; `--one-busy-core` lets an endless loop run on one core meanwhile.
`--processor` counts the processor seconds of all threads in place of those of the wall, so that other work on the machine does not shorten
the training: with one thread that comes near to a core that is never given away, which is kinder than a busy one.

The network that answers prompts, from whose weights a training may start, has learned from the training parts of these sets but for
`acdc`: `--init none` measures learning from nothing.

What was measured is appended to `--kept`, so that the same command goes on where it was interrupted; `--only-write` writes the section
from it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from results import machine, table, write_section

from ultralightunet.events import Version, finish
from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import dice
from ultralightunet.new_task import Wishes, training
from ultralightunet.retraining.scoring import Labeller

Pair = tuple[Path, Path]
KEPT = Path(".runs/few.jsonl")


@dataclass(frozen=True)
class Task:
    """A set of labelled images: how many cases are labelled, what is hoped for, and where the images lie."""

    name: str
    cases: int
    unit: str
    wanted: float
    classes: tuple[str, ...]
    parts: Callable[[Path], tuple[list[list[Pair]], list[Pair]]]
    """The groups to draw from, those of one patient together, and the pairs that measure."""


def pictures(name: str) -> Callable[[Path], tuple[list[list[Pair]], list[Pair]]]:
    """images/ and masks/ of a training and a validation part."""

    def pairs(folder: Path) -> list[Pair]:
        masks = {path.stem.removesuffix("_mask"): path for path in (folder / "masks").iterdir()}
        images = sorted(path for path in (folder / "images").iterdir() if not path.name.startswith("."))
        return [(path, masks[path.stem]) for path in images]

    return lambda data: ([[pair] for pair in pairs(data / name / "train")], pairs(data / name / "val"))


def acdc(data: Path) -> tuple[list[list[Pair]], list[Pair]]:
    """Both volumes of a patient together."""

    def pairs(part: str) -> list[Pair]:
        folder = data / "acdc" / part
        labels = {path.name.split(".")[0]: path for path in (folder / "labels").iterdir()}
        return [(path, labels[path.name.split(".")[0]]) for path in sorted((folder / "images").glob("*.nii.gz"))]

    patients: dict[str, list[Pair]] = {}
    for pair in pairs("train"):
        patients.setdefault(pair[0].name.split("_")[0], []).append(pair)
    return list(patients.values()), pairs("val")


def hippocampus(data: Path) -> tuple[list[list[Pair]], list[Pair]]:
    """Every fifth case measures, as in training/hippocampus.py."""
    folder = data / "hippocampus"
    images = sorted((folder / "imagesTr").glob("*_0000.nii.gz"))
    pairs = [(path, folder / "labelsTr" / path.name.replace("_0000", "")) for path in images]
    return [[pair] for n, pair in enumerate(pairs) if n % 5], pairs[::5]


TASKS = (
    Task("hc18", 5, "pictures", 0.90, ("head",), pictures("hc18")),
    Task("shenzhen", 5, "pictures", 0.95, ("lung",), pictures("shenzhen")),
    Task("busi", 10, "pictures", 0.55, ("lesion",), pictures("busi")),
    Task("kvasir", 10, "pictures", 0.55, ("polyp",), pictures("kvasir")),
    Task("acdc", 3, "patients", 0.72, ("right ventricle", "myocardium", "left ventricle"), acdc),
    Task("hippocampus", 3, "volumes", 0.82, ("anterior", "posterior"), hippocampus),
)


@dataclass(frozen=True)
class Asked:
    """One training: what it is known by in the file of what was measured."""

    task: str
    cases: int
    draw: int
    minutes: float
    threads: int
    init: str
    seconds: str


def dataset(folder: Path, pairs: Sequence[Pair]) -> Path:
    """images/ and masks/ with the cases that were drawn."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for image, labels in pairs:
        for place, path, name in (("images", image, image), ("masks", labels, image)):
            shutil.copyfile(path, folder / place / f"{name.name.split('.')[0]}{''.join(path.suffixes[-2:])}")
    return folder


@contextmanager
def busy_core(wanted: bool) -> Iterator[None]:
    """An endless loop on the first core, if it is wanted."""
    if not wanted:
        yield
        return
    code = "import os\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
    loop = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


def measure(asked: Asked, data: Path) -> dict[str, Any]:
    """Train and measure one draw; run in a process of its own, so that its processor seconds are its own."""
    task = next(task for task in TASKS if task.name == asked.task)
    groups, validation = task.parts(data)
    drawn = random.Random(asked.draw).sample(groups, asked.cases)
    with tempfile.TemporaryDirectory() as place:
        os.environ["ULTRALIGHT_HOME"] = place
        folder = dataset(Path(place) / "data", [pair for group in drawn for pair in group])
        wishes = Wishes(name=task.name, minutes=asked.minutes, threads=asked.threads, init=asked.init, seed=asked.draw)
        clock = time.process_time if asked.seconds == "processor" else time.perf_counter
        versions: list[float] = []
        began, counted = time.perf_counter(), clock()

        def watch(event: Any) -> None:
            if isinstance(event, Version):
                versions.append(round(clock() - counted, 1))

        with busy_core(asked.seconds == "one busy core"):
            model = finish(training(folder, Path(place) / "model", wishes, classes=task.classes, clock=clock), watch)
        seconds = time.perf_counter() - began
        label, scores = Labeller(model, threads=asked.threads), []
        for image, labels in validation:
            truth = read_labels(labels).labels
            found = label(read_image(image))
            truth = truth > 0 if len(task.classes) == 1 else truth
            scores.append(float(np.mean([dice(found == k, truth == k) for k in range(1, len(task.classes) + 1)])))
        facts = {"start": model.parent, "size": model.size or model.spacing, "estimate": dict(model.scores), "versions": versions}
        return {**asdict(asked), **facts, "scores": scores, "wall": round(seconds), "machine": machine(asked.threads)}


def read(kept: Path) -> list[dict[str, Any]]:
    """What was measured before."""
    return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []


def interval(scores: Sequence[Sequence[float]]) -> str:
    """Mean Dice of several draws on the same images, with a 95 % bootstrap interval over the images."""
    images = np.mean(scores, axis=0)
    picked = np.random.default_rng(0).integers(0, len(images), (10_000, len(images)))
    low, high = np.percentile(images[picked].mean(1), (2.5, 97.5))
    return f"{images.mean():.3f} ({low:.3f} to {high:.3f})"


def section(measured: Sequence[dict[str, Any]], minutes: float) -> str:
    """The table of everything that was measured for so many minutes."""
    rows = []
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for found in measured:
        if found["minutes"] == minutes:
            key = tuple(found[name] for name in ("task", "cases", "seconds", "threads", "init"))
            groups.setdefault(key, []).append(found)
    order = [task.name for task in TASKS]
    for (name, cases, seconds, threads, init), several in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:])):
        task = TASKS[order.index(name)]
        starts = ", ".join(sorted({found["start"] or "nothing" for found in several}))
        first = max(found["versions"][0] for found in several)
        draws = " ".join(f"{np.mean(found['scores']):.3f}" for found in several)
        wanted = f"{task.wanted:.2f}" if cases == task.cases else ""
        said = f"{seconds}, {threads} thread{'s' if threads > 1 else ''}"
        began = f"{starts}{'' if init else ' (chosen)'}"
        figures = interval([found["scores"] for found in several])
        rows.append([name, f"{cases} {task.unit}", said, began, len(several), draws, figures, wanted, f"{first:.0f}"])
    head = (
        "task",
        "labelled",
        "seconds counted",
        "began as",
        "draws",
        "Dice of each",
        "mean (95 % interval)",
        "wanted",
        "first version, s",
    )
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each task")
    parser.add_argument("--tasks", nargs="+", choices=[task.name for task in TASKS], default=[task.name for task in TASKS])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--cases", type=int, default=0, help="labelled cases, in place of each task's own number")
    parser.add_argument("--minutes", type=float, default=2.5, help="of training")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--init", default="", help='"none": from nothing; default: the training chooses')
    counted = parser.add_mutually_exclusive_group()
    counted.add_argument("--one-busy-core", action="store_true", help="with an endless loop on one core beside it")
    counted.add_argument("--processor", action="store_true", help="count processor seconds")
    parser.add_argument("--kept", type=Path, default=KEPT, help="file that what was measured is appended to")
    parser.add_argument("--only-write", action="store_true", help="measure nothing")
    parser.add_argument("--print-only", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    seconds = "one busy core" if options.one_busy_core else "processor" if options.processor else "quiet machine"
    for draw in range(0 if options.only_write else options.draws):
        for task in (task for task in TASKS if task.name in options.tasks):
            cases = options.cases or task.cases
            asked = Asked(task.name, cases, draw, options.minutes, options.threads, options.init, seconds)
            if any(asdict(asked).items() <= found.items() for found in read(options.kept)):
                continue
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found = pool.submit(measure, asked, options.data).result()
            options.kept.parent.mkdir(parents=True, exist_ok=True)
            with options.kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print({**found, "scores": round(float(np.mean(found["scores"])), 4)}, flush=True)
    measured = read(options.kept)
    text = "\n\n".join(
        (
            "First models from a few labelled cases of a training part, measured on all images of the validation part. "
            f"`python benchmarks/few.py --data DIR --minutes {options.minutes:g}` (and `--one-busy-core`, `--processor`, `--init none`, "
            "`--cases 1`). The network for prompts has seen the training parts of all sets but `acdc`.",
            section(measured, options.minutes),
            " / ".join(sorted({found["machine"] for found in measured if found["minutes"] == options.minutes})),
        )
    )
    print(text)
    if not options.print_only:
        write_section("First models from a few labelled cases", text)


if __name__ == "__main__":
    main()
