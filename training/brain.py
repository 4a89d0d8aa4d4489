"""Makes the `brain` model: `python training/brain.py --data DIR --output DIR`; goes on from its last checkpoint.

Learns from images synthesised from label maps of whole heads (see `synthesis.py`). Two of the twenty heads are
kept for validation, on images that are the same at every validation.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch
from synthesis import HeadSynthesizer, load_head_maps
from torch import nn

from ultralightunet.events import Epoch
from ultralightunet.losses import dice_cross_entropy
from ultralightunet.networks import UltraLightUNet
from ultralightunet.training import Plan, fit

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with head_NN.nii.gz and labels.json")
    parser.add_argument("--output", type=Path, required=True, help="folder for the checkpoint and the log")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variant", default="S")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    training, validation = (
        HeadSynthesizer(
            load_head_maps(options.data, heads), size=SIZE, spacing=SPACING, seed=seed, t1_share=share, target_of_class=TARGET_OF_CLASS
        )
        for heads, seed, share in ((TRAINING_HEADS, 1, t1_share), (VALIDATION_HEADS, 2, lambda number: float(number % 2)))
    )
    network = UltraLightUNet(spatial_dims=3, in_channels=1, out_channels=3, variant=options.variant, norm="instance")
    plan = Plan(steps=options.steps, batch_size=1, learning_rate=2e-3, every=200)
    options.output.mkdir(parents=True, exist_ok=True)
    log = options.output / "log.jsonl"
    for event in fit(
        network,
        training,
        dice_cross_entropy,
        plan,
        checkpoint=options.output / "checkpoint.pt",
        validate=validator(validation, 8),
        device=options.device,
    ):
        assert isinstance(event, Epoch)
        logging.info("step %d of %d loss %.4f %s %.0f s", event.step, event.steps, event.loss, event.scores, event.seconds)
        with log.open("a") as file:
            file.write(json.dumps({"step": event.step, "loss": event.loss, **event.scores, "seconds": event.seconds}) + "\n")


if __name__ == "__main__":
    main()
