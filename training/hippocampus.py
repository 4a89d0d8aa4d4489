"""Makes the `hippocampus` model: `python training/hippocampus.py --data DIR --output DIR`; goes on from its last checkpoint.

Learns the anterior and posterior hippocampus in T1 crops (Medical Segmentation Decathlon, Task04). Every fifth case validates. The
network works at 0.6 mm: its finest features are at half its input's resolution, and the structure is small.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from augmentation import Augmentation, Case
from export import export
from recipe import CHECKPOINT, arguments, history, train
from torch import Tensor, nn
from validation import Label, bootstrap_interval, model_labels, network_labels

from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.inference.transforms import Orientation, normalize
from ultralightunet.io import read_image, read_labels
from ultralightunet.learning.losses import dice_cross_entropy
from ultralightunet.learning.training import Plan
from ultralightunet.metrics import dice
from ultralightunet.models import LabelClass, Model
from ultralightunet.networks import UltraLightUNet

SPACING, EARLY_SPACING = 0.6, 0.75
SIZE, EARLY_SIZE = (64, 64, 64), (32, 64, 32)
"""mm, and voxels (k, j, i), of a crop. The early ones hold little but the structure, and teach it at a quarter of the cost."""

EARLY_SHARE = 0.85
"""Of the steps."""

BATCH = 4


def model_facts(folder: Path, variant: str) -> Model:
    return Model(
        folder=folder,
        name="hippocampus",
        version="0.1.0",
        title="Anterior and posterior hippocampus in a T1 crop around it (experimental)",
        modality="MR (T1)",
        architecture=Architecture(3, 1, 3, VARIANTS[variant], "batch"),
        classes=(
            LabelClass(0, "background", (0, 0, 0)),
            LabelClass(1, "anterior hippocampus", (230, 159, 0)),
            LabelClass(2, "posterior hippocampus", (0, 158, 115)),
        ),
        spacing=(SPACING,) * 3,
        window=(64, 96, 64),
        whole=1.0,
        box_is_image=True,
        keep_largest=((1, 2),),
        plausible_ml={1: (0.2, 6), 2: (0.2, 6)},
        licence="CC-BY-SA-4.0",
        intended_use="Research use only, not a medical device. T1 crops of about 35x50x35 mm around one hippocampus of an adult; "
        "draw a box of that size around it in a whole head.",
    )


def split(data: Path) -> tuple[list[Path], list[Path]]:
    """Training and validation images: every fifth case validates."""
    images = sorted((data / "imagesTr").glob("*_0000.nii.gz"))
    return [p for n, p in enumerate(images) if n % 5], images[::5]


def labels_of(image: Path) -> Path:
    return image.parent.parent / "labelsTr" / image.name.replace("_0000", "")


def load(image: Path, model: Model) -> Case:
    volume, reference = read_image(image), read_labels(labels_of(image))
    orientation = Orientation.of(volume.affine)
    array = orientation.apply(volume.array).astype(np.float32)
    labels = np.ascontiguousarray(orientation.apply(reference.labels))
    return Case(
        image.name,
        torch.from_numpy(normalize(array[None].copy(), model.intensity)[0]),
        torch.from_numpy(labels),
        orientation.spacing(volume.spacing),
    )


class Sampler:
    """Sample number `n` is a random crop of a random case, the same in every run; the first `early` are small."""

    def __init__(self, cases: list[Case], *, early: int) -> None:
        self.cases, self.early = cases, early
        self.small = Augmentation(size=EARLY_SIZE, spacing=EARLY_SPACING, classes=3)
        self.large = Augmentation(size=SIZE, spacing=SPACING, classes=3)

    def __call__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = torch.Generator().manual_seed(number)
        augment = self.small if number < self.early else self.large
        return augment(self.cases[int(torch.randint(len(self.cases), (1,), generator=rng))], rng)


def class_dice(labels: np.ndarray, image: Path) -> tuple[float, float]:
    """Dice of anterior and posterior, at the resolution of the case."""
    reference = read_labels(labels_of(image)).labels
    return dice(labels == 1, reference == 1), dice(labels == 2, reference == 2)


def mean_dice(labels: np.ndarray, image: Path) -> float:
    """The mean of both classes."""
    return sum(class_dice(labels, image)) / 2


def scores(label: Label, images: list[Path]) -> np.ndarray:
    """Dice of (anterior, posterior) of each case."""
    return np.array([class_dice(label(read_image(path)), path) for path in images])


def measured(model: Model, images: list[Path]) -> dict[str, Any]:
    found = scores(model_labels(model), images)
    means = found.mean(1)
    return {
        "Dice on validation cases": {
            "cases": len(images),
            "mean": round(float(means.mean()), 4),
            "95 % bootstrap interval": bootstrap_interval(means),
            "anterior": round(float(found[:, 0].mean()), 4),
            "posterior": round(float(found[:, 1].mean()), 4),
        }
    }


def early_steps(options: argparse.Namespace) -> int:
    """Steps with small crops; none for a network that knows the structure already."""
    return 0 if options.init else round(EARLY_SHARE * options.steps)


def exported(options: argparse.Namespace, validation: list[Path]) -> Model:
    return export(
        options.output / CHECKPOINT,
        options.export,
        model_facts(options.export, options.variant),
        measure=lambda model: measured(model, validation),
        licence_file="decathlon-cc-by-sa-4.0.txt",
        metadata={
            "data_source": "Medical Segmentation Decathlon, Task04 Hippocampus (CC BY-SA 4.0): 176 cases trained, 44 validated. It "
            "does not say which cases are of one person, so a validation case may be the other side of a training case",
            "known_failures": [
                "A whole head given without a box: the model has seen nothing but crops, and labels other structures too.",
            ],
            "references": [
                "Rahman, Marculescu: MK-UNet: Multi-kernel Lightweight CNN for Medical Image Segmentation. ICCV Workshops 2025.",
                "Simpson et al.: A large annotated medical image dataset for the development and evaluation of segmentation algorithms. "
                "arXiv 1902.09063",
            ],
            "changelog": {"0.1.0": history(options.output)},
        },
    )


def main() -> None:
    options = arguments(__doc__, name="hippocampus", steps=6000, variant="B").parse_args()
    training, validation = split(options.data)
    if not options.export_only:
        torch.manual_seed(0)
        model = model_facts(options.export, options.variant)
        sizes = [f"{'x'.join(map(str, size))} voxels of {mm} mm" for size, mm in ((EARLY_SIZE, EARLY_SPACING), (SIZE, SPACING))]
        crops = ", then ".join(sizes if early_steps(options) else sizes[1:])

        def validate(network: nn.Module) -> dict[str, float]:
            found = scores(network_labels(network, model), validation[::2]).mean(0)
            return {"anterior": float(found[0]), "posterior": float(found[1]), "mean": float(found.mean())}

        train(
            options,
            network=UltraLightUNet(**model.architecture.to_dict()),
            sample=Sampler([load(path, model) for path in training], early=BATCH * early_steps(options)),
            loss=dice_cross_entropy,
            plan=Plan(steps=options.steps, batch_size=BATCH, learning_rate=2e-3, every=250),
            validate=validate,
            samples=f"crops of {crops}",
        )
    if not options.train_only:
        logging.info("%s", dict(exported(options, validation).scores))


if __name__ == "__main__":
    main()
