"""Makes the `brain` model: `python training/brain.py --data DIR --output DIR`; goes on from its last checkpoint.

Learns from images synthesised from label maps of whole heads (see `head_recipe.py`). At the end, or with `--export-only` at any time, the
model folder is written to `ultralightunet/shipped/brain` with its measured scores.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

import torch
from export import export
from head_recipe import colin27_scores, plain_scores, synthesizers, synthetic_scores, validator
from recipe import CHECKPOINT, arguments, history, train
from synthesis import HeadSynthesizer
from validation import model_labels

from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.learning.losses import dice_cross_entropy
from ultralightunet.learning.training import Plan
from ultralightunet.models import LabelClass, Model
from ultralightunet.networks import UltraLightUNet

SPACING, TRAINING_SPACING = 1.15, 1.25
"""mm. The finest features have half this resolution, and the folds of the cortex are a few millimetres wide. A trained network finds their
border better at the finer one: 0.960 for the brain on plain validation images in place of 0.954, in the same time; at 1 mm heads with
thick slices suffer."""

SIZES = ((128, 128, 128), (128, 128, 128), (160, 192, 160))
"""Voxels (k, j, i) of a sample, in turn: a brain, and now and then a whole head with the air around it, as users give it."""

TARGET_OF_CLASS = torch.tensor([0] + [1] * 15 + [2])
"""background; brain (classes 1-15 of labels.json); the fluid around it (class 16)."""

GROUPS = {"brain": (1,), "csf": (2,), "both": (1, 2)}


def measured(model: Model, validation: HeadSynthesizer, count: int) -> dict[str, Any]:
    """Scores for the card: the two held-out heads as synthesised images, and one real head, each as a user would run it."""
    label = model_labels(model)
    return {
        "Dice on synthesised images of 2 held-out heads": {"images": count, **synthetic_scores(label, validation, count, GROUPS)},
        "Dice on plain T1-like images of the same heads at 1 mm": {"images": 8, **plain_scores(label, validation, 8, GROUPS)},
        "Dice on Colin27 against the automatic mask ch2bet": {
            "images": 1,
            **colin27_scores(label, {name: GROUPS[name] for name in ("brain", "both")}),
        },
    }


def exported(options: argparse.Namespace, validation: HeadSynthesizer) -> Model:
    """Write the model folder from the checkpoint."""
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
        window=SIZES[0],
        whole=9.0,
        keep_largest=((1, 2),),
        plausible_ml={1: (500, 2500)},
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
        "changelog": {"0.1.0": history(options.output)},
    }
    return export(
        options.output / CHECKPOINT,
        options.export,
        model,
        measure=lambda written: measured(written, validation, 20),
        licence_file="synthseg-apache-2.0.txt",
        metadata=metadata,
    )


def main() -> None:
    parser = arguments(__doc__, name="brain", steps=4000, variant="S")
    options = parser.parse_args()
    several = {
        size: synthesizers(options.data, size=size, spacing=TRAINING_SPACING, start=options.init, target_of_class=TARGET_OF_CLASS)
        for size in sorted(set(SIZES))
    }
    validation = several[SIZES[-1]][1]
    if not options.export_only:
        torch.manual_seed(0)
        train(
            options,
            network=UltraLightUNet(spatial_dims=3, in_channels=1, out_channels=3, variant=options.variant, norm="instance"),
            sample=lambda number: several[SIZES[number % len(SIZES)]][0](number),
            loss=dice_cross_entropy,
            plan=Plan(steps=options.steps, batch_size=1, learning_rate=2e-3, every=200),
            validate=validator(validation, 8, GROUPS),
            samples=f"image of {' or '.join('x'.join(map(str, size)) for size in sorted(set(SIZES)))} voxels of {TRAINING_SPACING} mm",
        )
    if not options.train_only:
        logging.info("%s", dict(exported(options, validation).scores))


if __name__ == "__main__":
    main()
