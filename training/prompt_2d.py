"""Makes the 2D prompt network: `python training/prompt_2d.py --data DIR --output DIR`; goes on from its last checkpoint.

From a crop and what a user pointed at, the mask of one object. Seven channels: red, green and blue (grey is repeated), what belongs to the
object, what does not, an area that it lies in, and the mask so far. Learns on objects of every kind: see `prompt_scenes.py`. Validated by
clicks on pictures that were not trained on, and on data sets of which nothing was.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export import export
from prompt_robot import Case, clicked, objects_in, picture_cases, robot, slice_cases, slices_of
from prompt_rounds import Rounds
from prompt_scenes import FOLDERS, sources
from recipe import CHECKPOINT, ROOT, arguments, history, train
from torch import nn
from validation import bootstrap_interval

from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.engines import make_engine
from ultralightunet.learning.training import Plan
from ultralightunet.models import Intensity, LabelClass, Model
from ultralightunet.networks import UltraLightUNet
from ultralightunet.prompting.crop import CHANNELS
from ultralightunet.prompting.looking import SIZE
from ultralightunet.volume import Volume

BATCH = 12
PARTS = {"shenzhen", "dsb18"}
"""Folders whose objects are single parts of a mask."""
CLICKS = (1, 3, 5)


def model_facts(folder: Path, variant: str) -> Model:
    return Model(
        folder=folder,
        name="prompt-2d",
        version="0.2.0",
        title="One object that was pointed at, in a slice or picture",
        modality="any",
        architecture=Architecture(2, CHANNELS, 1, VARIANTS[variant], "instance"),
        classes=(LabelClass(0, "background", (0, 0, 0)), LabelClass(1, "object", (230, 159, 0))),
        window=(SIZE, SIZE),
        # As `Crop.image` does: the first and last percentile of what is shown.
        intensity=Intensity("percentile", 1.0, 99.0),
        licence="research use only",
        intended_use="Research use only, not a medical device. Answers points, strokes, boxes and loops in any image; what it marks is to "
        "be looked at by the person who pointed.",
    )


def pictures(data: Path) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Validation pictures of the sources with one object each, by data set; photographs of vessels are too few."""
    return {name: objects_in(data / name / "val", 24, parts=name in PARTS) for name in FOLDERS if name != "drive"}


def unseen(data: Path) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Slices of data sets of which nothing is trained on, with one object each."""
    heads = [(data / "real_heads" / f"head_0{n}_t1.nii.gz", data / "real_heads" / f"head_0{n}_labels.nii.gz") for n in (1, 2)]
    hearts = [(path, path.parent.parent / "labels" / path.name) for path in sorted((data / "acdc" / "val" / "images").glob("*.nii.gz"))]
    return {
        "unseen heads": slices_of(heads, labels=range(1, 14), axes=(0, 1)),
        "unseen hearts": slices_of(hearts, labels=(1, 2, 3), axes=(0,)),
    }


def validation_cases(data: Path) -> dict[str, list[Case]]:
    """Crops around objects by data set, for the learning curve."""
    found = {name: picture_cases(data / name / "val", 16, size=SIZE, parts=name in PARTS) for name in FOLDERS if name != "drive"}
    return {**found, **{name: slice_cases(some, size=SIZE) for name, some in unseen(data).items()}}


def measured(model: Model, data: Path) -> dict[str, Any]:
    """Dice after so many clicks of a user who points into the middle of the largest error, as users of the product have it."""
    engine = make_engine(model, threads=1)
    found: dict[str, Any] = {}
    for name, cases in {**pictures(data), **unseen(data)}.items():
        scores = np.array([clicked(engine, _image(pixels), target, clicks=max(CLICKS)) for pixels, target in cases])
        found[f"Dice on {name} after 1, 3 and 5 clicks"] = {
            "objects": len(cases),
            "mean": [round(float(scores[:, n - 1].mean()), 4) for n in CLICKS],
            "95 % bootstrap interval of the last": bootstrap_interval(scores[:, -1]),
        }
    return found


def _image(pixels: np.ndarray) -> Volume:
    return Volume(pixels, channels=3 if pixels.ndim == 3 else 1, has_spacing=False)


def fit(options: Any) -> None:
    """Train from the last checkpoint in `options.output` to the end."""
    torch.manual_seed(0)
    cases = validation_cases(options.data)
    rounds = Rounds(sources(options.data), sizes=(SIZE,), batch_size=BATCH)

    def validate(network: nn.Module) -> dict[str, float]:
        found = {name: robot(network, some) for name, some in cases.items()}
        trained = [scores for name, scores in found.items() if not name.startswith("unseen")]
        means = {f"trained sources, {n} clicks": float(np.mean([scores[n] for scores in trained])) for n in CLICKS}
        return means | {f"{name}, {n} clicks": found[name][n] for name in found if name.startswith("unseen") for n in CLICKS}

    train(
        options,
        network=UltraLightUNet(**model_facts(options.export, options.variant).architecture.to_dict()),
        sample=rounds,
        loss=rounds.loss,
        plan=Plan(steps=options.steps, batch_size=BATCH, learning_rate=4e-3, every=1000),
        validate=validate,
        samples=f"crops of {SIZE}x{SIZE} with prompts, in up to five rounds of answers and corrections,",
    )


def exported(options: Any) -> Model:
    """Write the model folder from the checkpoint."""
    model = model_facts(options.export, options.variant)
    return export(
        options.output / CHECKPOINT,
        options.export,
        model,
        measure=lambda written: measured(written, options.data),
        licence_file="prompts-research-use.txt",
        metadata={
            "changelog": {model.version: history(options.output)},
            "data_source": "Random shapes, label maps of 20 heads painted at random (Apache-2.0), hippocampus MRI (CC BY-SA 4.0), "
            "colonoscopy (ClinicDB, Kvasir: research use), breast ultrasound (BUSI: CC BY 4.0, BUS-BRA: research use), fetal heads "
            "(CC BY 4.0), chest X-rays (CC BY-NC-SA 4.0), retinal vessels (CC BY 4.0), nuclei (CC0), and superpixels of these pictures; "
            "prompts are simulated",
            "known_failures": [
                "A single click cannot tell a part from the whole: a box, or a second click, says which is meant.",
                "Vessels and other thin things take strokes all over them; single clicks find a piece of them.",
                "Through the slices, an object with a faint end is followed past it; a click, or a box of the slices, says where it ends.",
                "CT and photographs of skin were never seen; hearts and real heads neither, and are measured above.",
            ],
            "references": [
                "Rahman, Marculescu: MK-UNet: Multi-kernel Lightweight CNN for Medical Image Segmentation. ICCV Workshops 2025.",
                "Wong et al.: ScribblePrompt: Fast and Flexible Interactive Segmentation for Any Biomedical Image. ECCV 2024. "
                "arXiv 2312.07381",
                "Sofiiuk et al.: Reviving Iterative Training with Mask Guidance for Interactive Segmentation. ICIP 2022. arXiv 2102.06583",
            ],
        },
    )


def main() -> None:
    parser = arguments(__doc__, name="prompt-2d", steps=24_000, variant="B")
    parser.set_defaults(export=ROOT / "ultralightunet" / "shipped_prompts" / "prompt-2d")
    options = parser.parse_args()
    if not options.export_only:
        fit(options)
    if not options.train_only:
        logging.info("%s", dict(exported(options).scores))


if __name__ == "__main__":
    main()
