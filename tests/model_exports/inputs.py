"""Models, and images that they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.io_files import write_nii
from tests.small_models import small_model
from ultralightunet.models import Intensity, Model


def volume_model(folder: Path, **facts: Any) -> Model:
    """Its random weights make several classes of noise, not one."""
    return small_model(folder, name="volume", norm="instance", window=(64, 64, 64), seed=3, keep_largest=((1, 2),), **facts)


def picture_model(folder: Path, **facts: Any) -> Model:
    rule = Intensity("scale", 0, 255, (0.5, 0.4, 0.3), (0.25, 0.2, 0.3))
    return small_model(folder, name="picture", spatial_dims=2, in_channels=3, classes=2, window=(64, 64), intensity=rule, seed=8, **facts)


def image_for(model: Model, *sides: int, batch: int = 1) -> np.ndarray:
    shape = (batch, model.architecture.in_channels, *sides)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def scan_in(folder: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    folder.mkdir()
    return write_nii(folder / "scan.nii.gz", array, affine)


def picture_in(folder: Path, sides: tuple[int, int]) -> Path:
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*sides, 3)).astype(np.uint8)).save(folder / "frame.png")
    return folder / "frame.png"


def everything_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
