"""The pictures of failures on the models' pages: `python training/failures.py --data DIR`, the validation cases with the lowest Dice.

They are drawn by the finished models as a user gets them. Where a data set may not be passed on (CVC-ClinicDB), the outlines stand on
grey in place of the image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import hippocampus
import matplotlib as mpl
import numpy as np
from picture_recipe import given_split
from pictures import mask_of
from recipe import ROOT
from validation import model_labels

from ultralightunet.inference.transforms import Orientation
from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import dice
from ultralightunet.models import SHIPPED, Model, read_model
from ultralightunet.volume import Volume

mpl.use("Agg")
import matplotlib.pyplot as plt

SHOWN = 4
"""Cases in a picture."""

FOUND, TRUE = "#e69f00", "#56b4e9"
"""Colours of the model's outline and of the reference's, which colour-blind people tell apart."""


@dataclass(frozen=True)
class Shown:
    """One validation case as it is drawn: a plane, and the labels in it.

    Attributes:
        name: of the case.
        score: its Dice, the mean over classes.
        image: (J, I) or (J, I, 3).
        found: (J, I) labels of the model.
        true: (J, I) labels of the reference.
    """

    name: str
    score: float
    image: np.ndarray
    found: np.ndarray
    true: np.ndarray


@dataclass(frozen=True)
class Task:
    """Validation cases of a model.

    Attributes:
        images: of the cases.
        reference: the labels' file of an image.
        credit: what the licence of the data asks for; empty where the images may not be shown.
    """

    images: Sequence[Path]
    reference: Callable[[Path], Path]
    credit: str = ""


def tasks(data: Path) -> dict[str, Task]:
    """By model, each with the validation cases of its recipe."""
    decathlon = "Images: Medical Segmentation Decathlon, Task04 (Simpson et al. 2019), CC BY-SA 4.0; this picture likewise"
    busi = "Images: BUSI (Al-Dhabyani et al. 2020), CC BY 4.0"
    return {
        "hippocampus": Task(hippocampus.split(data / "hippocampus")[1], hippocampus.labels_of, decathlon),
        "breast-lesion": Task(given_split(data / "busi")[1], mask_of, busi),
        "polyp": Task(given_split(data / "clinicdb")[1], mask_of),
    }


def worst(model: Model, task: Task) -> list[Shown]:
    """The cases with the lowest Dice, the lowest first."""
    label, cases = model_labels(model), []
    for path in task.images:
        volume, true = read_image(path), read_labels(task.reference(path)).labels
        true = true if volume.spatial_dims == 3 else (true > 0).astype(np.uint8)
        found = label(volume)
        score = float(np.mean([dice(found == c.index, true == c.index) for c in model.classes[1:]]))
        cases.append((score, path, volume, found, true))
    cases.sort(key=lambda case: case[0])
    return [
        Shown(path.name.split(".")[0].removesuffix("_0000"), score, *_plane(volume, found, true))
        for score, path, volume, found, true in cases[:SHOWN]
    ]


def _plane(volume: Volume, found: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture as it is; of a volume the sagittal plane in which the two differ most."""
    if volume.spatial_dims == 2:
        return volume.array, found, true
    turn = Orientation.of(volume.affine).apply
    image, found, true = turn(volume.array), turn(found), turn(true)
    i = int(np.argmax((found != true).sum((0, 1))))
    return image[:, :, i], found[:, :, i], true[:, :, i]


def draw(name: str, cases: Sequence[Shown], credit: str, *, upward: bool) -> Path:
    """The cases side by side, to `docs/images/models/NAME-failures.png`."""
    figure, row = plt.subplots(1, len(cases), figsize=(3.2 * len(cases), 3.6), layout="constrained")
    for axes, case in zip(row, cases, strict=True):
        image = case.image if credit else np.full(case.true.shape, 200, np.uint8)
        limits = {} if credit else {"vmin": 0, "vmax": 255}
        axes.imshow(image, cmap="gray", origin="lower" if upward else "upper", **limits)
        for labels, color, style in ((case.true, TRUE, "dashed"), (case.found, FOUND, "solid")):
            for number in range(1, max(case.true.max(), case.found.max(), 1) + 1):
                if (labels == number).any():
                    axes.contour(labels == number, levels=[0.5], colors=color, linewidths=1.6, linestyles=style)
        axes.set_title(f"{case.name}\nDice {case.score:.2f}", fontsize=9)
        axes.axis("off")
    figure.suptitle("solid orange: the model; dashed blue: the reference", fontsize=9)
    figure.supxlabel(credit or "Images not shown: they may not be passed on", fontsize=7)
    target = ROOT / "docs" / "images" / "models" / f"{name}-failures.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=70)
    plt.close(figure)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hippocampus/, busi/ and clinicdb/")
    parser.add_argument("--models", nargs="+", help="these alone")
    options = parser.parse_args()
    for name, task in tasks(options.data).items():
        if options.models and name not in options.models:
            continue
        model = read_model(SHIPPED / name)
        draw(name, worst(model, task), task.credit, upward=model.spatial_dims == 3)


if __name__ == "__main__":
    main()
