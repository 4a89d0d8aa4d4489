"""By how much the images of a new task are changed while it is learned."""

from __future__ import annotations

import math
from dataclasses import replace

from ..learning.augmentation import Augmentation
from ..models import Model
from ..retraining.sampling import augmentation_for

_FEW = 20
"""With fewer cases the images are changed more: they are seen again and again."""


def augmentation_of(model: Model, cases: int) -> Augmentation:
    """What suits the modality, the classes and the number of cases.

    Volumes are in millimetres, and organs have their size: only their light is changed more. Few pictures in colour, which are taken
    through an endoscope, a microscope or a hand-held camera, show one light and one way up of many.
    Hounsfield units mean the same everywhere, and hardly change.
    """
    usual = augmentation_for(model.classes, model.modality)
    if cases < _FEW:
        usual = replace(usual, light=0.25, gamma=0.5)
        if model.spacing is None:
            usual = replace(usual, move_chance=0.9, turn=max(usual.turn, 0.35), scale=1.4, bend=0.03)
        if model.spatial_dims == 2 and model.architecture.in_channels == 3:
            usual = replace(usual, turn=math.pi, scale=1.5, light=0.3, colour=0.3)
    if model.intensity.rule == "window":
        usual = replace(usual, light=0.08, gamma=0.1, shading=0.1)
    return usual
