"""A model of pictures that samples are drawn for."""

from __future__ import annotations

from pathlib import Path

from ultralightunet.architecture import Architecture
from ultralightunet.models import Intensity, LabelClass, Model


def picture_model(channels: int = 3, size: tuple[int, int] = (64, 96)) -> Model:
    return Model(
        folder=Path("none"),
        name="squares",
        version="0.1.0",
        title="Squares",
        modality="photo",
        architecture=Architecture(2, channels, 1, (4, 4, 4, 4, 4), "batch"),
        classes=(LabelClass(0, "background"), LabelClass(1, "square")),
        size=size,
        window=size,
        intensity=Intensity("scale", 0.0, 255.0, (0.4,), (0.2,)),
    )
