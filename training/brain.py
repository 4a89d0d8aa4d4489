"""Makes the `brain` model: `python training/brain.py --data DIR --output DIR`; goes on from its last checkpoint.

Learns from images synthesised from label maps of whole heads (see `synthesis.py`). Two of the twenty heads are
kept for validation, on images that are the same at every validation. At the end, or with `--export-only` at any time, the
model folder is written to `ultralightunet/shipped/brain` with its measured scores.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

import numpy as np
import torch
from export import export
from recipe import ROOT, arguments, train
from synthesis import HeadSynthesizer, load_head_maps
from torch import nn

import ultralightunet as ulu
from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.events import finish
from ultralightunet.io import read_image, read_labels
from ultralightunet.losses import dice_cross_entropy
from ultralightunet.metrics import dice
from ultralightunet.models import LabelClass, Model
from ultralightunet.networks import UltraLightUNet
from ultralightunet.training import Plan
from ultralightunet.volume import Volume

SPACING = 2.0
SIZE = (96, 96, 96)
TRAINING_HEADS, VALIDATION_HEADS = range(1, 19), range(19, 21)
TARGET_OF_CLASS = torch.tensor([0] + [1] * 15 + [2])
"""background; brain (classes 1-15 of labels.json); the fluid around it (class 16)."""


def t1_share(number: int) -> float:
    """T1-like images first, then ever more of random contrast: falls from 1 to a half between samples 300 and 2500."""
    return 1 - 0.5 * min(1.0, max(0.0, (number - 300) / 2200))


def validator(synthesizer: HeadSynthesizer, count: int):
    samples = [synthesizer(number) for number in range(count)]

    @torch.no_grad()
    def validate(network: nn.Module) -> dict[str, float]:
        totals = {"brain": 0.0, "csf": 0.0, "both": 0.0}
        for image, target in samples:
            predicted = network(image[None])[0].argmax(0)
            for number, name in enumerate(totals, 1):
                a, b = (predicted > 0, target > 0) if name == "both" else (predicted == number, target == number)
                totals[name] += 2 * float((a & b).sum()) / max(1.0, float(a.sum() + b.sum()))
        return {name: total / count for name, total in totals.items()}

    return validate


def measured(model: Model, validation: HeadSynthesizer, count: int) -> dict[str, Any]:
    """Scores for the card: the two held-out heads as synthesised images, and one real head, each as a user would run it."""
    session = ulu.Session()

    def labels_of(image: Volume) -> np.ndarray:
        return finish(session.segment(image, ulu.Request(model))).labels

    synthetic = []
    for number in range(count):
        image, target = validation(1000 + number)
        affine = np.diag([SPACING, SPACING, SPACING, 1.0])
        found, expected = labels_of(Volume(image[0].numpy(), affine)), target.numpy()
        synthetic.append([dice(found == 1, expected == 1), dice(found == 2, expected == 2), dice(found > 0, expected > 0)])
    brain, csf, both = np.mean(synthetic, axis=0).round(4).tolist()
    found = labels_of(read_image(ROOT / "sample_data" / "colin27_t1.nii.gz"))
    reference = read_labels(ROOT / "sample_data" / "colin27_brain_mask.nii.gz").labels > 0
    return {
        "Dice on synthesised images of 2 held-out heads": {"images": count, "brain": brain, "csf": csf, "both": both},
        "Dice on Colin27 against the automatic mask ch2bet": {
            "images": 1,
            "brain": round(dice(found == 1, reference), 4),
            "both": round(dice(found > 0, reference), 4),
        },
    }


def exported(options: argparse.Namespace, validation: HeadSynthesizer) -> Model:
    """Write the model folder from the checkpoint."""
    step = torch.load(options.output / "checkpoint.pt", map_location="cpu", weights_only=True)["step"]
    model = Model(
        folder=options.export,
        name="brain",
        version="0.1.0",
        title="Brain, and the fluid around it, in a head MRI of any contrast",
        modality="MR",
        architecture=Architecture(3, 1, 3, VARIANTS[options.variant], "instance"),
        classes=(
            LabelClass(0, "background", (0, 0, 0)),
            LabelClass(1, "brain", (221, 130, 101), "12738006"),
            LabelClass(2, "cerebrospinal fluid", (80, 160, 220), "65216001"),
        ),
        spacing=(SPACING,) * 3,
        window=(128, 128, 128),
        whole=4.2,
        keep_largest=((1, 2),),
        licence="Apache-2.0",
        intended_use="Research use only, not a medical device. One head MRI of an adult at a time, with or without skull; "
        "not for other modalities, not for diagnosis, not for measuring the effect of a treatment.",
    )
    metadata = {
        "data_source": "20 head label maps of SynthSeg (Apache-2.0), of which 18 trained and 2 validated; no real image was trained on",
        "known_failures": [
            "Lateral ventricles are brain here, as in the label maps; dark ventricles in unusual contrasts may come out as fluid.",
            "Thick slices (5 mm and more) blur the border between brain and fluid.",
            "Trained on adults' heads; children's heads were not seen.",
        ],
        "references": [
            "Rahman, Marculescu: MK-UNet: Multi-kernel Lightweight CNN for Medical Image Segmentation. ICCV Workshops 2025.",
            "Billot et al.: SynthSeg. Medical Image Analysis 2023. doi 10.1016/j.media.2023.102789",
        ],
        "changelog": {"0.1.0": f"trained for {step} steps of one 96x96x96 image at 2 mm (the first 2400 at the rates of a 5000-step plan)"},
    }
    return export(
        options.output / "checkpoint.pt",
        options.export,
        model,
        measure=lambda written: measured(written, validation, 20),
        licence_file="synthseg-apache-2.0.txt",
        metadata=metadata,
    )


def main() -> None:
    parser = arguments(__doc__, name="brain", steps=4000, variant="S")
    options = parser.parse_args()
    training, validation = (
        HeadSynthesizer(
            load_head_maps(options.data, heads), size=SIZE, spacing=SPACING, seed=seed, t1_share=share, target_of_class=TARGET_OF_CLASS
        )
        for heads, seed, share in ((TRAINING_HEADS, 1, t1_share), (VALIDATION_HEADS, 2, lambda number: float(number % 2)))
    )
    if not options.export_only:
        torch.manual_seed(0)
        train(
            options,
            network=UltraLightUNet(spatial_dims=3, in_channels=1, out_channels=3, variant=options.variant, norm="instance"),
            sample=training,
            loss=dice_cross_entropy,
            plan=Plan(steps=options.steps, batch_size=1, learning_rate=2e-3, every=200),
            validate=validator(validation, 8),
        )
    if not options.train_only:
        logging.info("%s", dict(exported(options, validation).scores))


if __name__ == "__main__":
    main()
