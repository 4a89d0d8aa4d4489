"""What the network sees of a case is what the product shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.io_files import random_affine
from tests.retraining.corrected_noise import THREE, saved, scan
from tests.small_models import small_model
from ultralightunet import InputError, Volume
from ultralightunet.corrections import Store
from ultralightunet.events import finish
from ultralightunet.inference.session import Request, label_with
from ultralightunet.learning.augmentation import UNCHANGED
from ultralightunet.models import Intensity
from ultralightunet.retraining.prepared import UNKNOWN, prepared
from ultralightunet.retraining.selection import target_of


class Watching:
    """An engine that keeps what it is shown."""

    name, device = "torch", "cpu"

    def __init__(self, channels: int) -> None:
        self.shown: list[np.ndarray] = []
        self._channels = channels

    def prepare(self, shape: tuple[int, ...]) -> None:
        """There is nothing to do."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shown.append(batch[0].copy())
        return np.repeat(batch[:, :1], self._channels, 1)


@pytest.mark.parametrize(
    ("dims", "channels", "facts", "image"),
    [
        (3, 1, {"spacing": (1.5, 1.0, 0.8), "whole": 2.0}, lambda: scan(affine=random_affine(np.random.default_rng(3)))),
        (3, 1, {"window": (32, 32, 32)}, scan),
        (2, 1, {"size": (32, 64)}, lambda: scan(shape=(40, 50))),
        (2, 3, {"size": (64, 32), "intensity": Intensity("scale", 0, 255, (0.4, 0.5, 0.6), (0.2,))}, lambda: scan(shape=(40, 50))),
        (2, 1, {"spacing": (1.0, 1.0), "whole": 1.0}, lambda: scan(affine=random_affine(np.random.default_rng(4)))),
    ],
)
def test_an_unchanged_sample_is_what_the_product_shows_the_network(
    tmp_path: Path, dims: int, channels: int, facts: dict[str, Any], image: Any
) -> None:
    window = facts.pop("window", facts.get("size", (64,) * dims))
    model = small_model(tmp_path / "model", spatial_dims=dims, in_channels=channels, window=window, **facts)
    volume, watching = image(), Watching(3)
    finish(label_with(watching, volume, Request(model)))
    found = list(prepared(volume, None, model))
    assert len(found) == len(watching.shown)
    for case, shown in zip(found, watching.shown, strict=True):
        seen = shown[(slice(None), *(slice(0, n) for n in case.image.shape[1:]))]
        np.testing.assert_allclose(case.image, seen, atol=1e-5)
        centre = [(n - 1) / 2 for n in case.image.shape[1:]]
        sample, target = UNCHANGED(
            torch.from_numpy(case.image),
            torch.from_numpy(case.target).float(),
            size=case.image.shape[1:],
            centre=centre,
            spacing=case.spacing,
            intensity=model.intensity,
            rng=torch.Generator(),
        )
        np.testing.assert_allclose(sample.numpy(), seen, atol=1e-4)
        assert (target == UNKNOWN).all()


def test_a_corrections_target_lies_where_its_image_does(tmp_path: Path) -> None:
    """The image is its own label: wherever the network's grid lies, dark is class 0 and bright is class 1."""
    affine = random_affine(np.random.default_rng(5))
    shape = (30, 34, 38)
    bright = np.zeros(shape, np.int16)
    bright[4:17, 9:30, 5:21] = 100
    model = small_model(tmp_path / "model", spacing=(1.0, 1.3, 0.9))
    (case,) = prepared(Volume(bright, affine), bright // 100, model)
    middle = (case.image.min() + case.image.max()) / 2
    assert ((case.image[0] > middle) == (case.target == 1)).mean() > 0.99
    assert 0 < (case.target == 1).mean() < 0.5


def test_a_volume_for_a_2d_model_gives_the_slices_that_were_checked(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    revision = saved(store, 0, checked={0: [3, 4, 9]})
    model = small_model(tmp_path / "model", spatial_dims=2, size=(32, 32))
    found = list(prepared(revision.image(), target_of(revision, THREE), model, name=revision.name))
    assert len(found) == 3
    assert all((case.target != UNKNOWN).any() and case.target.shape == (32, 32) for case in found)


def test_an_image_that_the_model_cannot_take_is_refused(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model")
    with pytest.raises(InputError, match="expected an image in 3D with 1 channel"):
        list(prepared(scan(shape=(20, 20)), None, model))
