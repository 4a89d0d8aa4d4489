"""Samples of pictures: what is changed in them, and which come when."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.picture_models import picture_model
from ultralightunet.events import finish
from ultralightunet.inference.session import Request, label_with
from ultralightunet.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

CHANGES = {
    "turn": 3.0,
    "scale": (0.5, 2.0),
    "stretch": 0.4,
    "shift": 0.3,
    "bend": 0.05,
    "mirror": True,
    "upside_down": True,
    "light": 0.05,
    "shading": 0.1,
    "speckle": 0.1,
    "noise": 0.03,
    "blur": 1.0,
    "compression_chance": 1.0,
}
"""Each change alone, as strong as it gets."""


@pytest.fixture
def pictures(script) -> ModuleType:
    return script("pictures")


def red_disc(pictures: ModuleType, name: str = "disc", size: tuple[int, int] = (72, 100)):
    """A bright red disc off the centre of a dark blue picture, and its mask."""
    j, i = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    mask = ((j - 30) ** 2 + (i - 56) ** 2 < 18**2).to(torch.uint8)
    image = torch.stack((40 + 180 * mask, torch.full_like(mask, 40), 90 - 60 * mask)).to(torch.uint8)
    return pictures.Picture(name, image, mask)


def redness(image: Tensor) -> Tensor:
    return image[0] > 0.51


def agreement(a: Tensor, b: Tensor) -> float:
    return 2 * float((a & b).sum()) / max(1.0, float(a.sum() + b.sum()))


# ---- augmentation


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [(72, 100), (64, 64), (128, 96)])
def test_the_mask_follows_the_picture_under_every_change(pictures: ModuleType, change: str, size: tuple[int, int]) -> None:
    augment = replace(pictures.UNCHANGED, **{change: CHANGES[change]})
    picture = red_disc(pictures)
    for seed in range(12):
        image, mask = augment(picture, size, torch.Generator().manual_seed(seed))
        assert image.shape == (3, *size)
        assert mask.shape == size
        assert image.dtype == torch.float32
        assert mask.dtype == torch.uint8
        assert image.min() >= 0
        assert image.max() <= 1
        assert mask.any()
        assert agreement(redness(image), mask == 1) > 0.9


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_changes_something(pictures: ModuleType, change: str) -> None:
    augment = replace(pictures.UNCHANGED, **{change: CHANGES[change]})
    picture = red_disc(pictures)
    plain = pictures.UNCHANGED(picture, (72, 100), torch.Generator())
    samples = [augment(picture, (72, 100), torch.Generator().manual_seed(seed)) for seed in range(12)]
    assert any((image - plain[0]).abs().max() > 0.01 for image, _ in samples)
    moves = change in ("turn", "scale", "stretch", "shift", "bend", "mirror", "upside_down")
    assert any(not torch.equal(mask, plain[1]) for _, mask in samples) == moves


def test_colours_change_but_grey_pictures_stay_grey(pictures: ModuleType) -> None:
    augment = replace(pictures.UNCHANGED, colour=0.2)
    picture = red_disc(pictures)
    coloured = [augment(picture, (72, 100), torch.Generator().manual_seed(seed))[0] for seed in range(8)]
    assert max(float((a - coloured[0]).abs().max()) for a in coloured) > 0.05
    grey = replace(picture, image=picture.image[:1])
    plain = pictures.UNCHANGED(grey, (72, 100), torch.Generator())[0]
    assert all(torch.equal(augment(grey, (72, 100), torch.Generator().manual_seed(seed))[0], plain) for seed in range(8))


def test_a_turn_keeps_shapes_although_the_network_sees_squeezed_pictures(pictures: ModuleType) -> None:
    """A disc of the stored picture stays one: turned and squeezed back to the stored shape, its extent along each axis is the same."""
    augment = replace(pictures.UNCHANGED, turn=3.0)
    j, i = torch.meshgrid(torch.arange(100), torch.arange(200), indexing="ij")
    mask = ((j - 49.5) ** 2 + (i - 99.5) ** 2 < 40**2).to(torch.uint8)
    picture = pictures.Picture("disc", mask[None] * 255, mask)
    for seed in range(8):
        found = augment(picture, (128, 128), torch.Generator().manual_seed(seed))[1]
        height, width = int(found.any(1).sum()) * 100 / 128, int(found.any(0).sum()) * 200 / 128
        assert abs(height - 80) < 3
        assert abs(width - 80) < 4


@pytest.mark.parametrize("size", [(64, 96), (96, 128), (32, 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_without_changes_a_sample_is_what_the_product_shows_the_network(pictures: ModuleType, size: tuple[int, int], channels: int) -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (72, 100, channels), dtype=np.uint8)
    model = picture_model(channels, size)
    shown: list[np.ndarray] = []

    class Watching:
        name, device = "torch", "cpu"

        def prepare(self, shape: tuple[int, ...]) -> None:
            pass

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            shown.append(batch[0].copy())
            return batch[:, :1]

    volume = Volume(stored if channels == 3 else stored[..., 0], channels=channels, has_spacing=False)
    finish(label_with(Watching(), volume, Request(model)))
    picture = pictures.Picture("noise", torch.from_numpy(stored).movedim(-1, 0), torch.zeros(72, 100, dtype=torch.uint8))
    sampler = pictures.Sampler([picture], pictures.UNCHANGED, model, batch_size=1, scales=(1.0,))
    found, _ = sampler(0)
    np.testing.assert_allclose(found[:, 2:-2, 2:-2].numpy(), shown[0][:, 2:-2, 2:-2], atol=1e-4)
    # At the very edge the two shrinking filters weigh what lies outside differently.
    np.testing.assert_allclose(found.numpy(), shown[0], atol=1)


# ---- samples


def sampler_of(pictures: ModuleType, count: int = 5, batch_size: int = 4):
    """Pictures that differ in the brightness of their first pixel's blue."""
    found = []
    for number in range(count):
        disc = red_disc(pictures, str(number))
        disc.image[2, 0, 0] = 100 + number
        found.append(disc)
    return pictures.Sampler(found, pictures.Augmentation(), picture_model(size=(128, 256)), batch_size=batch_size, scales=(0.75, 1.0, 1.25))


def test_a_sample_depends_on_its_number_and_on_nothing_else(pictures: ModuleType) -> None:
    first, second = sampler_of(pictures), sampler_of(pictures)
    forwards = [first(number) for number in range(10)]
    torch.manual_seed(99)
    backwards = [second(number) for number in range(9, -1, -1)][::-1]
    for (image, mask), (again, same) in zip(forwards, backwards, strict=True):
        assert torch.equal(image, again)
        assert torch.equal(mask, same)
    assert not torch.equal(forwards[4][0], forwards[6][0])


def test_samples_of_a_batch_have_one_size_and_sizes_take_turns(pictures: ModuleType) -> None:
    sampler = sampler_of(pictures)
    sizes = [tuple(sampler(number)[0].shape) for number in range(16)]
    assert sizes == [(3, 96, 192)] * 4 + [(3, 128, 256)] * 4 + [(3, 160, 320)] * 4 + [(3, 96, 192)] * 4
    assert all(tuple(sampler(number)[1].shape) == size[1:] for number, size in enumerate(sizes))


def test_the_first_batches_have_sizes_and_changes_of_their_own(pictures: ModuleType) -> None:
    model, found = picture_model(size=(128, 256)), [red_disc(pictures, "disc")]
    mirrored = replace(pictures.UNCHANGED, mirror=True, upside_down=True)
    options = {"batch_size": 2, "scales": (1.0,), "early_scales": (0.5,), "early_batches": 3}
    same = pictures.Sampler(found, pictures.UNCHANGED, model, **options)
    other = pictures.Sampler(found, pictures.UNCHANGED, model, early_augment=mirrored, **options)
    for number in range(12):
        one, another = same(number), other(number)
        assert one[0].shape == another[0].shape == ((3, 64, 128) if number < 6 else (3, 128, 256))
        if number >= 6:
            assert torch.equal(one[0], another[0])
    assert any(not torch.equal(same(number)[0], other(number)[0]) for number in range(6))


def test_every_picture_comes_once_a_round_in_a_new_order(pictures: ModuleType) -> None:
    sampler = sampler_of(pictures, count=7)
    rounds = [[sampler.picture(7 * turn + n).name for n in range(7)] for turn in range(4)]
    assert all(sorted(names) == list("0123456") for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1


def test_a_model_without_a_size_is_refused(pictures: ModuleType) -> None:
    with pytest.raises(ValueError, match="a size and the intensity rule"):
        pictures.Sampler([], pictures.UNCHANGED, replace(picture_model(), size=None), batch_size=1, scales=(1.0,))
