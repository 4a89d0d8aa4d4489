"""How many clicks an object takes: `python benchmarks/prompts.py --data DIR`; the same robot user for all.

The robot clicks into the middle of the largest error, up to --clicks times; a clumsy one at a random place of it, and in every tenth click
of the second largest. Beside our network, on the same kind of clicks: scikit-image's random walker and geodesic distance, ITK's GrowCut
where `itk-growcut` is installed (1.6 GB), and the brush alone, which paints a disc of the best radius at each click. Objects are of
validation pictures that were not trained on; of `acdc`, the real heads and the tumour MRIs of the samples nothing was trained on at all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from prompt_rivals import RIVALS, Answer
from results import machine, table, write_section
from scipy import ndimage

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "training")]

from prompt_robot import middle_of_largest, objects_in, slices_of  # noqa: E402

from ultralightunet.io import read_image, read_labels  # noqa: E402
from ultralightunet.metrics import dice  # noqa: E402
from ultralightunet.prompting import Point, PromptSession  # noqa: E402
from ultralightunet.prompting.network import prompt_engine  # noqa: E402
from ultralightunet.volume import Volume  # noqa: E402

Mask = np.ndarray
SHOWN = (1, 2, 3, 5, 10)
PICTURES = {"hc18": False, "shenzhen": True, "busi": False, "bus_bra": False, "kvasir": False, "dsb18": True}
"""Folders of pictures, and whether an object is one part of a mask."""


@dataclass(frozen=True)
class Object:
    """An image, or a slice of one, and an object in it."""

    image: Volume
    target: Mask


def objects(data: Path, count: int) -> dict[str, list[Object]]:
    """By task."""
    found: dict[str, list[Object]] = {}
    hearts = [(path, path.parent.parent / "labels" / path.name) for path in sorted((data / "acdc" / "val" / "images").glob("*.nii.gz"))]
    for label, name in ((1, "right ventricle"), (2, "myocardium"), (3, "left ventricle")):
        found[f"acdc slices, {name}"] = [_picture(*pair) for pair in slices_of(hearts, labels=(label,), axes=(0,))]
    for name, parts in PICTURES.items():
        found[name] = [_picture(*pair) for pair in objects_in(data / name / "val", count, parts=parts)]
    heads = [(data / "real_heads" / f"head_0{n}_t1.nii.gz", data / "real_heads" / f"head_0{n}_labels.nii.gz") for n in (1, 2)]
    found["slices of real heads"] = [_picture(*pair) for pair in slices_of(heads, labels=range(1, 14), axes=(0,))]
    tumours = []
    for number in (1, 2):
        image = read_image(ROOT / "sample_data" / f"tumour_mri_{number}.nrrd")
        tumours.append(Object(image, read_labels(ROOT / "sample_data" / f"tumour_mri_{number}_tumour.nrrd").labels > 0))
    found["tumour MRIs, in 3D"] = tumours
    found["acdc volumes, left ventricle, in 3D"] = [Object(read_image(i), read_labels(t).labels == 3) for i, t in hearts]
    return found


def _picture(pixels: np.ndarray, target: Mask) -> Object:
    return Object(Volume(pixels, channels=3 if pixels.ndim == 3 else 1, has_spacing=False), target)


def ours(case: Object, engine: Any) -> Answer:
    session = PromptSession(case.image, engine=engine)
    return lambda place, positive: session.add(Point(place, positive=positive)).copy()


def clicked(case: Object, answer: Answer, *, clicks: int, clumsy: np.random.Generator | None) -> tuple[list[float], list[float]]:
    """Dice after each click, and the seconds of each answer."""
    mask = np.zeros(case.target.shape, bool)
    scores, seconds = [], []
    for _ in range(clicks):
        wrong = case.target != mask
        place = middle_of_largest(wrong) if wrong.ndim == 2 else _middle(wrong)
        if clumsy is not None:
            place = _clumsily(wrong, clumsy) or place
        if place is not None:
            began = time.perf_counter()
            mask = answer(place, bool(case.target[place]))
            seconds.append(time.perf_counter() - began)
        scores.append(dice(mask, case.target))
    return scores, seconds


def _middle(wrong: Mask) -> tuple[int, ...] | None:
    """In a volume: the middle of the largest error of the slice that has the most."""
    if not wrong.any():
        return None
    number = int(wrong.sum((1, 2)).argmax())
    place = middle_of_largest(wrong[number])
    return None if place is None else (number, *place)


def _clumsily(wrong: Mask, rng: np.random.Generator) -> tuple[int, ...] | None:
    labels, count = ndimage.label(wrong)
    if not count:
        return None
    order = np.argsort(-np.bincount(labels.ravel())[1:], kind="stable")
    chosen = order[1] if count > 1 and rng.random() < 0.1 else order[0]
    places = np.argwhere(labels == chosen + 1)
    return tuple(int(n) for n in places[int(rng.integers(len(places)))])


def until(scores: np.ndarray, level: float, clicks: int) -> float:
    """Mean number of clicks to a Dice of `level`; `clicks` + 1 where it was not reached."""
    return float(np.mean([next((n + 1 for n, value in enumerate(row) if value >= level), clicks + 1) for row in scores]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--objects", type=int, default=16, help="of each folder of pictures")
    parser.add_argument("--clicks", type=int, default=20, choices=range(max(SHOWN), 101), metavar="N", help="at most")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rivals", nargs="*", choices=sorted(RIVALS), default=sorted(RIVALS), help="the random walker takes longest")
    options = parser.parse_args()
    engine = prompt_engine(threads=options.threads)
    methods: dict[str, Callable[[Object], Answer]] = {
        "ours": lambda case: ours(case, engine),
        "ours, clumsy user": lambda case: ours(case, engine),
    }
    methods |= {name: lambda case, rival=RIVALS[name]: rival(case.image, case.target) for name in options.rivals}
    rows, figure = [], plt.figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for task, cases in objects(options.data, options.objects).items():
        for method, make in methods.items():
            if cases[0].target.ndim == 3 and not method.startswith("ours"):
                continue
            found = [
                clicked(
                    case,
                    make(case),
                    clicks=options.clicks,
                    clumsy=np.random.default_rng(number) if method.endswith("clumsy user") else None,
                )
                for number, case in enumerate(cases)
            ]
            scores = np.array([scores for scores, _ in found])
            seconds = np.median([s for _, some in found for s in some])
            reached = [f"{scores[:, n - 1].mean():.3f}" for n in SHOWN]
            clicks = [f"{until(scores, level, options.clicks):.1f}" for level in (0.85, 0.9)]
            rows.append([task, len(cases), method, *reached, *clicks, f"{seconds:.3f}"])
            print(*rows[-1], flush=True)
            if method == "ours":
                axes.plot(range(1, options.clicks + 1), scores.mean(0), label=task)
    axes.set(xlabel="clicks", ylabel="mean Dice", ylim=(0, 1), xticks=range(0, options.clicks + 1, 5))
    axes.legend(fontsize="x-small", loc="lower right")
    figure.savefig(ROOT / "benchmarks" / "prompts.png", dpi=100)
    head = ["task", "objects", "who", *(f"Dice, {n}" for n in SHOWN), "clicks to 0.85", "to 0.90", "s a click"]
    command = f"--objects {options.objects} --clicks {options.clicks} --rivals {' '.join(map(repr, options.rivals))}"
    text = f"""`python benchmarks/prompts.py --data DIR {command}`; {machine(options.threads)}

A robot clicks into the middle of the largest error; "Dice, N" is the mean after N clicks. Where a level was not reached in
{options.clicks} clicks, {options.clicks + 1} are counted. Seconds are medians of one answer. Of `acdc`, the real heads and the tumour
MRIs nothing was trained on. The brush is told the best radius at each click, which no hand knows.

{table(head, rows)}

![Mean Dice against clicks](prompts.png)
"""
    write_section("Clicks to an object", text)


if __name__ == "__main__":
    main()
