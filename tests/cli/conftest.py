"""Models and a scan for the commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.scans import noise
from tests.io_files import random_affine, write_nii
from tests.small_models import small_model
from ultralightunet.models import Intensity, Model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


# The seeds of these three are such that their random weights make several classes of noise, not one.


@pytest.fixture(scope="module")
def model(models: Path) -> Model:
    """In 3D, for grey volumes."""
    return small_model(models / "volume", name="volume", seed=3)


@pytest.fixture(scope="module")
def picture_model(models: Path) -> Model:
    """In 2D, for colour pictures."""
    scale = Intensity("scale", 0, 255, (0.5,), (0.25,))
    return small_model(models / "picture", name="picture", spatial_dims=2, in_channels=3, intensity=scale, window=(64, 64), seed=7)


@pytest.fixture(scope="module")
def slice_model(models: Path) -> Model:
    """In 2D, for grey slices."""
    return small_model(models / "slice", name="slice", spatial_dims=2, window=(64, 64), seed=8)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A volume that lies obliquely, and is as good as any to a network of random weights."""
    return write_nii(tmp_path / "scan.nii.gz", noise(), random_affine(np.random.default_rng(0)))
