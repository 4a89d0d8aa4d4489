"""How much images are changed while they are learned suits the modality and the number of cases."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from ultralightunet import LabelClass
from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.models import Intensity, Model
from ultralightunet.new_task.looks import augmentation_of
from ultralightunet.retraining.sampling import augmentation_for

CLASSES = (LabelClass(0, "background"), LabelClass(1, "lesion"))


def model(dims: int, channels: int = 1, rule: str = "percentile") -> Model:
    spacing = (1.0,) * 3 if dims == 3 else None
    intensity = Intensity(rule)  # type: ignore[arg-type]
    architecture = Architecture(dims, channels, 2, VARIANTS["T"], "instance")
    return Model(Path("m"), "m", "1.0.0", "m", "image", architecture, CLASSES, spacing=spacing, size=None, intensity=intensity)


def test_few_pictures_are_moved_and_relit_more_than_many() -> None:
    few, many = augmentation_of(model(2), 5), augmentation_of(model(2), 50)
    assert many == augmentation_for(CLASSES, "image")
    assert (few.scale, few.gamma) > (many.scale, many.gamma)
    assert few.turn < 1


def test_few_pictures_in_colour_have_no_upright() -> None:
    assert augmentation_of(model(2, 3), 5).turn == math.pi
    assert augmentation_of(model(2, 3), 50).turn < 1


def test_few_volumes_keep_the_size_of_their_organs() -> None:
    usual, few = augmentation_for(CLASSES, "image"), augmentation_of(model(3), 3)
    assert few == replace(usual, light=few.light, gamma=few.gamma)
    assert few.gamma > usual.gamma


def test_hounsfield_units_hardly_change() -> None:
    assert augmentation_of(model(3, rule="window"), 3).gamma < augmentation_for(CLASSES, "CT").gamma
