"""Makes the `breast-lesion` model: `python training/breast_lesion.py --data DIR --output DIR`; goes on from its last checkpoint.

Learns lesions in breast ultrasound (BUSI). The network takes three channels although the pictures are grey, as the published one does:
its first block has twice as many hidden channels as its input has, so one channel would leave two at full resolution where three leave
six. A grey picture is repeated; one that was stored as colour goes in as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picture_recipe import Task, finish_with, given_split, measured, steps_of
from pictures import Augmentation
from recipe import arguments

from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.models import Intensity, LabelClass, Model

SIZE = (256, 256)
PICTURES = 515

AUGMENTATION = Augmentation(turn=0.35, upside_down=False, stretch=0.15, colour=0.0, light=0.3, speckle=0.25, compression_chance=0.25)
"""The probe is always at the top and shadows fall away from it, so nothing is turned far or upside down."""


def model_facts(folder: Path, variant: str) -> Model:
    return Model(
        folder=folder,
        name="breast-lesion",
        version="0.1.0",
        title="Lesions in breast ultrasound",
        modality="US",
        architecture=Architecture(2, 3, 1, VARIANTS[variant], "batch"),
        classes=(LabelClass(0, "background", (0, 0, 0)), LabelClass(1, "lesion", (230, 159, 0), "52988006")),
        size=SIZE,
        window=SIZE,
        # Mean and standard deviation of the training pictures.
        intensity=Intensity("scale", 0.0, 255.0, (0.33,), (0.22,)),
        # As in training, left and right only: on the validation pictures it gained a point and a half.
        mirrored=(1,),
        # No `keep_largest`: at every validation of the second half of the training it cost Dice, a hundredth at the end.
        licence="CC-BY-4.0",
        intended_use="Research use only, not a medical device. B-mode breast ultrasound pictures that show one lesion. Not for finding "
        "lesions: it has seen no picture without one. Not for telling benign from malignant.",
    )


def task(data: Path, folder: Path, variant: str) -> Task:
    training, validation = given_split(data)
    return Task(
        model=model_facts(folder, variant),
        channels=1,
        training=training,
        validation=validation,
        augment=AUGMENTATION,
        licence_file="busi-cc-by-4.0.txt",
        metadata={
            "data_source": "BUSI (CC BY 4.0), reduced to 320 pixels along the longer side: 515 pictures with a lesion trained, 67 "
            "validated, with near-duplicates on one side of the split",
            "known_failures": [
                "Pictures without a lesion were never seen: a shadow or a fat lobule is often marked in them.",
                "Malignant lesions with blurred borders or strong shadows are outlined less well than benign ones.",
                "Stray islands are kept: taking away all but the largest cost Dice on the validation pictures.",
                "Women of one hospital in Egypt, two machines of one maker; others were not seen.",
            ],
            "references": [
                "Rahman, Marculescu: MK-UNet: Multi-kernel Lightweight CNN for Medical Image Segmentation. ICCV Workshops 2025.",
                "Al-Dhabyani et al.: Dataset of breast ultrasound images. Data in Brief 2020. doi 10.1016/j.dib.2019.104863",
                "Wei et al.: F3Net: Fusion, Feedback and Focus for Salient Object Detection. AAAI 2020. arXiv 1911.11445",
            ],
        },
    )


def main() -> None:
    options = arguments(__doc__, name="breast-lesion", steps=steps_of(PICTURES), variant="B").parse_args()
    this = task(options.data, options.export, options.variant)

    def measure(model: Model) -> dict[str, Any]:
        kinds = {kind: [p for p in this.validation if p.stem.startswith(kind)] for kind in ("benign", "malignant")}
        return {
            "Dice on validation pictures": measured(model, this.validation),
            **{f"Dice on {kind} ones": measured(model, pictures) for kind, pictures in kinds.items()},
        }

    finish_with(options, this, measure=measure)


if __name__ == "__main__":
    main()
