"""Volumes and models for measuring time alone: their labels mean nothing."""

from __future__ import annotations

from pathlib import Path

from measuring import ROOT  # noqa: F401 - isort: skip - puts the repository on the path
import numpy as np
import scipy.ndimage

from tests.small_models import small_model
from ultralightunet.models import Intensity, Model
from ultralightunet.volume import Volume

CT = (300, 512, 512)
VOXEL = (1.0, 0.8, 0.8)


def ct(shape: tuple[int, ...] = CT) -> Volume:
    """A body in air: an ellipse of soft tissue with smooth organs, and noise, in Hounsfield units."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=tuple(max(2, n // 24) for n in shape)).astype(np.float32)
    array = np.empty(shape, np.int16)
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape[1:]]
    body = axes[0][:, None] ** 2 / 0.45 + axes[1][None] ** 2 / 0.8 < 1
    for k in range(shape[0]):
        plane = coarse[min(len(coarse) - 1, k // 24)]
        organs = scipy.ndimage.zoom(plane, [n / m for n, m in zip(shape[1:], plane.shape, strict=True)], order=1)
        array[k] = np.where(body, 40 + 60 * organs + rng.normal(0, 10, shape[1:]), -1000)
    return Volume(array, np.diag([VOXEL[2], VOXEL[1], VOXEL[0], 1.0]))


def ct_model(folder: Path, *, classes: int = 14, variant: str = "S") -> Model:
    """A 3D model as one for a CT's organs would be, with random weights."""
    return small_model(
        folder,
        classes=classes,
        variant=variant,
        spacing=(1.5, 1.5, 1.5),
        window=(96, 96, 96),
        intensity=Intensity("window", -200.0, 300.0, (50.0,), (100.0,)),
        keep_largest=tuple(group for group in ((1,), (2, 3)) if group[-1] < classes),
    )
