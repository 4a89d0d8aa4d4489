"""Which samples are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.retraining.corrected_noise import THREE
from tests.retraining.lights import shaded
from tests.small_models import small_model
from ultralightunet.engines import make_engine
from ultralightunet.learning.augmentation import UNCHANGED
from ultralightunet.learning.losses import IGNORE
from ultralightunet.models import Intensity
from ultralightunet.retraining.prepared import Prepared
from ultralightunet.retraining.sampling import Mixture, Sampler, augmentation_for, window_of


class LightMeter:
    """A teacher that notes how bright what it was shown is at its first and at its last plane."""

    name, device = "torch", "cpu"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.shown: list[bool] = []

    def prepare(self, shape: tuple[int, ...]) -> None:
        pass

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shown.append(falls(torch.from_numpy(batch[0])))
        return np.zeros((1, self.classes, *batch.shape[2:]), np.float32)


def falls(image: torch.Tensor) -> bool:
    """Whether an image is brighter at the start of its first axis than at the end."""
    parts = image[0].tensor_split(3)
    return bool(parts[0].mean() > parts[-1].mean())


def in_two_lights(model: Any, teacher: LightMeter, mixture: Mixture) -> Sampler:
    """A corrected image that is brighter towards one end, and another image that is brighter towards the other."""
    target = np.ones((48,) * 3, np.int32)
    new, old = (Prepared(str(towards), shaded(3, Intensity(), towards).numpy(), target, (1.0,) * 3) for towards in (1, -1))
    return Sampler([new], [old], model, teacher, UNCHANGED, mixture=mixture)


def test_what_is_rehearsed_is_taught_in_its_own_light_and_shown_in_the_new_one(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", whole=1.0)
    teacher = LightMeter(model.architecture.out_channels)
    for relit in (0.0, 1.0):
        sampler = in_two_lights(model, teacher, Mixture(1.0, 0.0, relit))
        teacher.shown.clear()
        image, _ = sampler(0)
        assert teacher.shown == [True]
        assert falls(image) == (relit == 0.0)


def test_a_corrected_image_is_shown_in_the_old_light_too(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", whole=1.0)
    teacher = LightMeter(model.architecture.out_channels)
    sampler = in_two_lights(model, teacher, Mixture(0.0, 1.0, 1.0))
    assert teacher.shown == [False]
    sampler(0)
    # It says "background" throughout, so both tries are given up, and the image is learned from as it is.
    assert teacher.shown == [False, True, True]


def test_a_sample_depends_on_its_number_and_seed_alone(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", whole=1.0)
    cases = [Prepared(str(n), *numbers(n), (1.0,) * 3) for n in range(3)]

    def sampler(seed: int) -> Sampler:
        teacher = make_engine(model, threads=1)
        return Sampler(cases, cases[:1], model, teacher, augmentation_for(THREE), mixture=Mixture(0.5, 0.5), seed=seed)

    first, second, other = sampler(0), sampler(0), sampler(1)
    for number in (7, 3, 0):
        for one, same in zip(first(number), second(number), strict=True):
            assert torch.equal(one, same)
    assert not torch.equal(first(3)[0], other(3)[0])
    taught = [bool(first(number)[1][1:].sum() > 0) for number in range(12)]
    assert any(taught)
    assert not all(taught)
    for number in range(12):
        target = first(number)[1]
        assert ((target[0] == IGNORE).all() or target[1:].sum() == 0).item()


def test_where_labels_are_known_the_parent_is_not_asked(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", whole=1.0)
    case, other = (Prepared(str(n), *numbers(n), (1.0,) * 3) for n in range(2))
    teacher = make_engine(model, threads=1)
    sampler = Sampler([case], [], model, teacher, augmentation_for(THREE), mixture=Mixture(1.0, 0.0), labelled=[other])
    for number in range(4):
        target = sampler(number)[1]
        assert (target[0] != IGNORE).any()
        assert target[1:].sum() == 0


def numbers(seed: int, shape: tuple[int, int, int] = (40, 36, 30)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (1, *shape)).astype(np.float32), rng.integers(0, 3, shape).astype(np.int16)


def test_small_images_are_seen_whole_and_large_ones_in_windows(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", window=(128, 128, 128))
    # Most of a stride beyond a multiple is left to chance, because nearly twice the voxels would be margin for the most part.
    assert window_of(model, [(60, 67, 61)]) == (32, 64, 64)
    assert window_of(model, [(48, 64, 48), (48, 64, 48), (90, 90, 90)]) == (32, 64, 32)
    assert window_of(model, [(20, 20, 20)]) == (32, 32, 32)
    assert np.prod(window_of(model, [(300, 300, 300)])) <= 1_200_000
    assert all(n % 32 == 0 for n in window_of(model, [(300, 300, 300)]))
    # A norm by the image's own statistics wants to see more of it, and needs more than one voxel at the bottom of the network.
    other = small_model(tmp_path / "other", norm="instance", window=(128, 128, 128))
    assert window_of(other, [(47, 67, 47)]) == (64, 64, 64)
    # The window of `brain-anatomy`, in a head.
    assert window_of(small_model(tmp_path / "anatomy", norm="instance", window=(96, 128, 96)), [(140, 150, 130)]) == (96, 128, 96)
    assert max(window_of(other, [(20, 20, 20)])) == 64


def test_a_window_of_a_large_image_mostly_shows_something(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", window=(32, 32, 32))
    image = np.zeros((1, 90, 90, 90), np.float32)
    target = np.zeros(image.shape[1:], np.int16)
    target[70:74, 10:14, 40:44] = 1
    sampler = Sampler([Prepared("", image, target, (1.0,) * 3)], [], model, None, UNCHANGED, mixture=Mixture(0, 0))
    shown = [bool((sampler(number)[1][0] == 1).any()) for number in range(20)]
    assert 10 < sum(shown) < 20
