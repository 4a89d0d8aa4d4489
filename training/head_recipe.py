"""What the recipes of the head models share: images synthesised from label maps (see `synthesis.py`), and how their labels are scored.

Two of the twenty heads are kept for validation, on images that are the same at every validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from head_maps import load_head_maps
from recipe import ROOT
from synthesis import HeadSynthesizer
from torch import Tensor, nn
from validation import Label

from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import dice
from ultralightunet.volume import Volume

TRAINING_HEADS, VALIDATION_HEADS = range(1, 19), range(19, 21)

Groups = Mapping[str, Sequence[int]]
"""What is scored: a name, and the classes that count as one."""


def t1_share(number: int) -> float:
    """T1-like images first, then ever more of random contrast: falls from 1 to a half between samples 300 and 2500."""
    return 1 - 0.5 * min(1.0, max(0.0, (number - 300) / 2200))


def t1_share_of(start: Path | None) -> Callable[[int], float]:
    """`t1_share`; a network that starts from the weights in `start` is past that: with few other contrasts it would forget them."""
    return (lambda _: t1_share(2500)) if start else t1_share


def synthesizers(
    data: Path,
    *,
    size: tuple[int, int, int],
    spacing: float,
    start: Path | None = None,
    target_of_class: Tensor | None = None,
) -> tuple[HeadSynthesizer, HeadSynthesizer]:
    """Samples to train and to validate on; every second one of the latter is T1-like. `start`: the model that the training starts from."""
    return (
        HeadSynthesizer(
            load_head_maps(data, TRAINING_HEADS),
            size=size,
            spacing=spacing,
            seed=1,
            t1_share=t1_share_of(start),
            target_of_class=target_of_class,
        ),
        HeadSynthesizer(
            load_head_maps(data, VALIDATION_HEADS),
            size=size,
            spacing=spacing,
            seed=2,
            t1_share=lambda number: float(number % 2),
            target_of_class=target_of_class,
        ),
    )


def validator(synthesizer: HeadSynthesizer, count: int, groups: Groups) -> Callable[[nn.Module], dict[str, float]]:
    """Mean Dice of each group over the first `count` samples."""
    samples = [synthesizer(number) for number in range(count)]

    @torch.no_grad()
    def validate(network: nn.Module) -> dict[str, float]:
        found = [scores(network(image[None])[0].argmax(0).numpy(), target.numpy(), groups) for image, target in samples]
        return dict(zip(groups, np.mean(found, axis=0).tolist(), strict=True))

    return validate


def scores(labels: np.ndarray, reference: np.ndarray, groups: Groups) -> list[float]:
    """Dice of each group."""
    return [dice(np.isin(labels, numbers), np.isin(reference, numbers)) for numbers in groups.values()]


def synthetic_scores(label: Label, synthesizer: HeadSynthesizer, count: int, groups: Groups) -> dict[str, float]:
    """Mean Dice of each group over `count` images that no validation during training has seen, as a user would run the model."""
    found = []
    for number in range(count):
        image, target = synthesizer(1000 + number)
        spacing = synthesizer.spacing
        found.append(scores(label(Volume(image[0].numpy(), np.diag([spacing, spacing, spacing, 1.0]))), target.numpy(), groups))
    return dict(zip(groups, np.mean(found, axis=0).round(4).tolist(), strict=True))


def plain_scores(label: Label, synthesizer: HeadSynthesizer, count: int, groups: Groups) -> dict[str, float]:
    """Mean Dice of each group over `count` plain T1-like images of 1 mm, which is nearer to what most users have."""
    found = []
    for number in range(count):
        image, target = synthesizer.plain(number)
        found.append(scores(label(Volume(image.numpy(), np.eye(4))), target.numpy(), groups))
    return dict(zip(groups, np.mean(found, axis=0).round(4).tolist(), strict=True))


def colin27_scores(label: Label, groups: Groups) -> dict[str, float]:
    """Dice of each group, taken for the brain, with the automatic mask of one real head."""
    found = label(read_image(ROOT / "sample_data" / "colin27_t1.nii.gz"))
    reference = read_labels(ROOT / "sample_data" / "colin27_brain_mask.nii.gz").labels > 0
    return {name: round(dice(np.isin(found, numbers), reference), 4) for name, numbers in groups.items()}
