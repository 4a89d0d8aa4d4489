"""Makes the `brain-anatomy` model: `python training/brain_anatomy.py --data DIR --output DIR`; goes on from its last checkpoint.

Learns the 17 classes of `labels.json` from images synthesised from label maps of whole heads, like `brain`, whose weights it starts
from where `--init` says so. It works at 1.5 mm, in windows that hold a whole brain but not a whole head: small nuclei want fine voxels,
and where they lie is told by the brain around them. `--aal FILE` adds the agreement with another atlas on one real head.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export import export
from head_recipe import colin27_scores, plain_scores, synthesizers, synthetic_scores, validator
from recipe import CHECKPOINT, ROOT, arguments, history, train
from synthesis import HeadSynthesizer
from validation import Label, model_labels

from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.io import read_image, read_labels
from ultralightunet.learning.losses import dice_cross_entropy
from ultralightunet.learning.training import Plan
from ultralightunet.metrics import dice
from ultralightunet.models import LabelClass, Model
from ultralightunet.networks import UltraLightUNet

SPACING = 1.5
SIZE = (96, 128, 96)

CLASSES = (
    LabelClass(0, "background", (0, 0, 0)),
    LabelClass(1, "cerebral white matter", (245, 245, 245), "68523003"),
    LabelClass(2, "cerebral cortex", (205, 62, 78), "40146001"),
    LabelClass(3, "lateral ventricle", (120, 18, 134), "66720007"),
    LabelClass(4, "cerebellum white matter", (220, 248, 164), "33060004"),
    LabelClass(5, "cerebellum cortex", (230, 148, 34)),
    LabelClass(6, "thalamus", (0, 118, 14), "42695009"),
    LabelClass(7, "caudate", (122, 186, 220), "11000004"),
    LabelClass(8, "putamen", (236, 13, 176), "89278009"),
    LabelClass(9, "pallidum", (12, 48, 255), "14738005"),
    LabelClass(10, "third and fourth ventricle", (204, 182, 142)),
    LabelClass(11, "brain-stem", (119, 159, 176), "15926001"),
    LabelClass(12, "hippocampus", (220, 216, 20), "5366008"),
    LabelClass(13, "amygdala", (103, 255, 255), "4958002"),
    LabelClass(14, "accumbens", (255, 165, 0), "427667007"),
    LabelClass(15, "ventral diencephalon", (165, 42, 42)),
    LabelClass(16, "extra-ventricular CSF", (60, 60, 160), "65216001"),
)
"""The classes of `labels.json` in their order, in the colours that FreeSurfer's users know."""

AAL = {"thalamus": (77, 78), "caudate": (71, 72), "putamen": (73, 74), "pallidum": (75, 76), "hippocampus": (37, 38)}
"""Regions of the AAL atlas, which draws them by another protocol."""

GROUPS = {c.name: (c.index,) for c in CLASSES[1:]}
BRAIN = {"brain": tuple(range(1, 16))}


def model_facts(folder: Path, variant: str) -> Model:
    return Model(
        folder=folder,
        name="brain-anatomy",
        version="0.1.0",
        title="16 regions of the brain in a head MRI of any contrast (experimental)",
        modality="MR",
        architecture=Architecture(3, 1, len(CLASSES), VARIANTS[variant], "instance"),
        classes=CLASSES,
        spacing=(SPACING,) * 3,
        window=SIZE,
        whole=1.2,
        keep_largest=(tuple(range(1, len(CLASSES))),),
        plausible_ml={1: (100, 1000), 2: (100, 1200), 5: (20, 300), 6: (2, 50), 11: (5, 80), 12: (1, 25)},
        licence="Apache-2.0",
        intended_use="Research use only, not a medical device. One head MRI of an adult at a time, with or without skull; "
        "not for other modalities, not for diagnosis, not for measuring the effect of a treatment or of age.",
    )


def aal_scores(label: Label, atlas: Path) -> dict[str, float]:
    """Dice with regions of the AAL atlas on Colin27, whose grid it shares."""
    found = label(read_image(ROOT / "sample_data" / "colin27_t1.nii.gz"))
    reference = read_labels(atlas).labels
    numbers = {c.name: c.index for c in CLASSES}
    return {name: round(dice(found == numbers[name], np.isin(reference, regions)), 4) for name, regions in AAL.items()}


def measured(model: Model, validation: HeadSynthesizer, options: argparse.Namespace) -> dict[str, Any]:
    label, count = model_labels(model), 20
    degraded, plain = (with_mean(found(label, validation, count, {**GROUPS, **BRAIN})) for found in (synthetic_scores, plain_scores))
    result: dict[str, Any] = {
        "Dice on synthesised images of 2 held-out heads": {"images": count, **degraded},
        "Dice on plain T1-like images of the same heads at 1 mm": {"images": count, **plain},
        "Dice on Colin27 against the automatic mask ch2bet": {"images": 1, **colin27_scores(label, BRAIN)},
    }
    if options.aal:
        result["Dice on Colin27 against the AAL atlas, which follows another protocol"] = {"images": 1, **aal_scores(label, options.aal)}
    return result


def exported(options: argparse.Namespace, validation: HeadSynthesizer) -> Model:
    """Write the model folder from the checkpoint."""
    return export(
        options.output / CHECKPOINT,
        options.export,
        model_facts(options.export, options.variant),
        measure=lambda written: measured(written, validation, options),
        licence_file="synthseg-apache-2.0.txt",
        command_options="--aal FILE",
        metadata={
            "data_source": "20 head label maps of SynthSeg (Apache-2.0), of which 18 trained and 2 validated; no real image was trained on",
            "known_failures": [
                "Experimental: trained for hours on a CPU where such models train for days on a GPU. Small nuclei are often cut short.",
                "Thick slices (5 mm and more) blur small structures away.",
                "Left and right have one label.",
                "Trained on adults' heads; children's heads, and lesions that displace the brain, were not seen.",
            ],
            "references": [
                "Rahman, Marculescu: MK-UNet: Multi-kernel Lightweight CNN for Medical Image Segmentation. ICCV Workshops 2025.",
                "Billot et al.: SynthSeg. Medical Image Analysis 2023. doi 10.1016/j.media.2023.102789",
                "Tzourio-Mazoyer et al.: Automated anatomical labeling of activations in SPM (AAL). NeuroImage 2002. "
                "doi 10.1006/nimg.2001.0978",
            ],
            "changelog": {"0.1.0": history(options.output)},
        },
    )


def main() -> None:
    parser = arguments(__doc__, name="brain-anatomy", steps=4000, variant="S")
    parser.add_argument("--aal", type=Path, help="the AAL atlas on Colin27's grid (aal.nii.gz of Debian's mricron-data), to compare with")
    options = parser.parse_args()
    training, validation = synthesizers(options.data, size=SIZE, spacing=SPACING, start=options.init)
    if not options.export_only:
        torch.manual_seed(0)
        validate = validator(validation, 8, {**GROUPS, **BRAIN})
        train(
            options,
            network=UltraLightUNet(**model_facts(options.export, options.variant).architecture.to_dict()),
            sample=training,
            loss=dice_cross_entropy,
            plan=Plan(steps=options.steps, batch_size=1, learning_rate=2e-3, every=200),
            validate=lambda network: with_mean(validate(network)),
            samples=f"window of {'x'.join(map(str, SIZE))} voxels of {SPACING} mm",
        )
    if not options.train_only:
        logging.info("%s", dict(exported(options, validation).scores))


def with_mean(found: dict[str, float]) -> dict[str, float]:
    """The mean over classes 1 to 13 besides."""
    return {"mean of 1 to 13": round(float(np.mean([found[c.name] for c in CLASSES[1:14]])), 4), **found}


if __name__ == "__main__":
    main()
