"""Pictures with a mask: kept as they were stored, changed at random, shown to the network as the product would show them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ultralightunet.inference.transforms import with_channels
from ultralightunet.io import read_image, read_labels
from ultralightunet.models import Model

LUMINANCE = torch.tensor([0.299, 0.587, 0.114])
"""Of red, green and blue (ITU-R BT.601)."""

_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""From red, green and blue to luminance and the plane of colour, in which a turn is a change of hue."""


@dataclass(frozen=True)
class Picture:
    """One labelled picture at its own resolution.

    Attributes:
        name: of the file.
        image: (C, J, I) uint8, C 1 or 3.
        mask: (J, I) uint8, 0 or 1.
    """

    name: str
    image: Tensor
    mask: Tensor


def mask_of(image: Path) -> Path:
    """The mask of `images/NAME.jpg` is `masks/NAME.png`."""
    return image.parent.parent / "masks" / f"{image.stem}.png"


def load(image: Path, *, channels: int) -> Picture:
    volume = read_image(image)
    array = with_channels(volume.array, volume.channels, channels)
    if array is None or volume.array.dtype != np.uint8:
        raise ValueError(f"expected 8-bit pictures with {channels} channel(s), found {volume.array.dtype} with {volume.channels}: {image}")
    pixels = torch.from_numpy(np.array(array).reshape(*volume.shape, channels))
    mask = torch.from_numpy((read_labels(mask_of(image)).labels > 0).astype(np.uint8))
    return Picture(image.name, pixels.movedim(-1, 0).contiguous(), mask)


@dataclass(frozen=True)
class Augmentation:
    """Draws training samples from a picture: moved and bent, then changed in colour, light, sharpness, noise and compression.

    Every `*_chance` is a probability, every other number the largest change; 0 leaves a change out.

    Attributes:
        turn: radians.
        scale: smallest and largest scaling.
        stretch: of one axis against the other, as a share.
        shift: of the centre, as a share of the picture.
        bend: standard deviation of the smooth deformation, as a share of the picture.
        mirror: whether left and right may be exchanged.
        upside_down: whether top and bottom may.
        light: of brightness and contrast, as a share.
        colour: of saturation and of each channel's gain, as a share; of hue, in radians.
        shading: standard deviation of the logarithm of a smooth change of light across the picture.
        speckle: standard deviation of grainy noise, as a share of the grey value.
        noise: standard deviation of noise, in shares of white.
        blur: standard deviation of the blur, in pixels.
        compression_chance: of a JPEG round trip of quality 30 to 90.
    """

    turn: float = math.pi
    scale: tuple[float, float] = (0.8, 1.3)
    stretch: float = 0.1
    shift: float = 0.1
    bend: float = 0.015
    mirror: bool = True
    upside_down: bool = True
    light: float = 0.25
    colour: float = 0.15
    shading: float = 0.2
    speckle: float = 0.0
    noise: float = 0.04
    blur: float = 1.5
    compression_chance: float = 0.15

    def __call__(self, picture: Picture, size: tuple[int, int], rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """A sample of `size` (j, i): image (C, J, I) float32 in 0..1, mask (J, I) uint8."""
        own = picture.image.shape[1:]
        # Drawn at least as fine as the picture is stored, and shrunk with a filter as the product shrinks: nothing aliases.
        drawn = (max(size[0], own[0]), max(size[1], own[1]))
        both = torch.cat((picture.image.float() / 255, picture.mask[None].float()))[None]
        # One more pixel all round: the picture's edge does not fade into the black outside, nor does it in the product.
        both = F.pad(both, (1, 1, 1, 1), mode="replicate")
        grid = self.positions(own, drawn, rng) * torch.tensor([own[1] / (own[1] + 2), own[0] / (own[0] + 2)])
        both = F.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        if drawn != size:
            both = F.interpolate(both, size, mode="bilinear", align_corners=False, antialias=True)
        return self.look(both[0, :-1], rng), (both[0, -1] >= 0.5).to(torch.uint8)

    def positions(self, own: Sequence[int], drawn: Sequence[int], rng: torch.Generator) -> Tensor:
        """Where in a picture of `own` pixels each pixel drawn lies, in `grid_sample`'s units: (1, J, I, 2), last axis (i, j)."""
        matrix, shift = torch.eye(2), torch.zeros(2)
        # Some stay where they are, because that is how the network will see every picture.
        if _chance(rng, 0.75):
            angle = _between(rng, -self.turn, self.turn)
            matrix = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            matrix = matrix / _between(rng, *self.scale)
            matrix[:, 0] *= 1 + _between(rng, -self.stretch, self.stretch)
            shift = torch.tensor([_between(rng, -2 * self.shift, 2 * self.shift) for _ in range(2)])
        matrix[:, 0] *= -1 if self.mirror and _chance(rng, 0.5) else 1
        matrix[:, 1] *= -1 if self.upside_down and _chance(rng, 0.5) else 1
        # A turn is one of the stored pixels, which are square; the network's may not be.
        half = torch.tensor([own[1] / 2, own[0] / 2])
        matrix = matrix * half[None, :] / half[:, None]
        theta = torch.cat((matrix, shift[:, None]), 1)[None]
        grid = F.affine_grid(theta, [1, 1, *drawn], align_corners=False)
        if self.bend > 0 and _chance(rng, 0.5):
            knots = int(torch.randint(3, 7, (1,), generator=rng))
            field = torch.randn(1, 2, knots, knots, generator=rng) * 2 * _between(rng, 0, self.bend)
            grid = grid + F.interpolate(field, tuple(drawn), mode="bicubic", align_corners=True).movedim(1, -1)
        return grid

    def look(self, image: Tensor, rng: torch.Generator) -> Tensor:
        """`image` (C, J, I) in 0..1 in another light, through another camera."""
        if self.light > 0 and _chance(rng, 0.8):
            middle = float(image.mean())
            image = (image - middle) * (1 + _between(rng, -self.light, self.light)) + middle
            image = image * (1 + _between(rng, -self.light, self.light))
        if self.light > 0 and _chance(rng, 0.3):
            image = image.clamp(0, 1).pow(math.exp(_between(rng, -2 * self.light, 2 * self.light)))
        if self.colour > 0 and len(image) == 3 and _chance(rng, 0.8):
            image = torch.einsum("ab,bji->aji", self._colours(rng), image)
        if self.shading > 0 and _chance(rng, 0.3):
            field = torch.randn(1, 1, 3, 3, generator=rng) * _between(rng, 0, self.shading)
            image = image * F.interpolate(field, image.shape[1:], mode="bicubic", align_corners=True)[0].exp()
        if self.blur > 0 and _chance(rng, 0.2):
            image = _blurred(image, _between(rng, 0.3, max(0.3, self.blur)))
        if self.speckle > 0 and _chance(rng, 0.3):
            image = image * (1 + torch.randn(image.shape, generator=rng) * _between(rng, 0, self.speckle))
        if self.noise > 0 and _chance(rng, 0.3):
            image = image + torch.randn(image.shape, generator=rng) * _between(rng, 0, self.noise)
        image = image.clamp(0, 1)
        if _chance(rng, self.compression_chance):
            image = _compressed(image, int(torch.randint(30, 91, (1,), generator=rng)))
        return image

    def _colours(self, rng: torch.Generator) -> Tensor:
        """A matrix that changes saturation, hue and the channels' gains."""
        saturation, hue = 1 + _between(rng, -2 * self.colour, 2 * self.colour), _between(rng, -self.colour, self.colour)
        turn = torch.eye(3)
        turn[1:, 1:] = saturation * torch.tensor([[math.cos(hue), -math.sin(hue)], [math.sin(hue), math.cos(hue)]])
        gains = torch.tensor([1 + _between(rng, -self.colour / 2, self.colour / 2) for _ in range(3)])
        return gains[:, None] * (torch.linalg.inv(_YIQ) @ turn @ _YIQ)


UNCHANGED = Augmentation(0, (1, 1), 0, 0, 0, False, False, 0, 0, 0, 0, 0, 0, 0)
"""The picture as the product shows it to the network."""


class Sampler:
    """Sample number `n` of a training, the same in every run; every picture comes once in each round of all of them.

    All samples of one batch have one size, which changes from batch to batch.

    Args:
        pictures: to draw from.
        augment: their changes.
        model: tells size, channels and the rule for grey values ("scale").
        batch_size: of the training's plan.
        scales: of the model's size, taken in turn; sides are rounded to multiples of 32.
        early_scales: those of the first `early_batches` batches: small pictures teach the coarse things at a fraction of the cost.
        early_batches: see above.
        early_augment: the changes in those; None for `augment`.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        augment: Augmentation,
        model: Model,
        *,
        batch_size: int,
        scales: Sequence[float],
        early_scales: Sequence[float] = (),
        early_batches: int = 0,
        early_augment: Augmentation | None = None,
    ) -> None:
        if model.size is None or model.intensity.rule != "scale":
            raise ValueError(
                f'expected a model with a size and the intensity rule "scale", found {model.size} and {model.intensity.rule!r}'
            )
        self.pictures = pictures
        self.augment, self.early_augment = augment, early_augment or augment
        self.batch_size = batch_size
        self.early_batches = early_batches if early_scales else 0
        self.sizes, self.early_sizes = (
            [(_multiple(model.size[0] * scale), _multiple(model.size[1] * scale)) for scale in several]
            for several in (scales, early_scales)
        )
        self.channels = model.architecture.in_channels
        self.mean, self.std = (torch.tensor(values).reshape(-1, 1, 1) for values in (model.intensity.mean, model.intensity.std))

    def __call__(self, number: int) -> tuple[Tensor, Tensor]:
        """Image (C, J, I) float32 as the network sees it, mask (J, I) uint8."""
        rng = torch.Generator().manual_seed(number)
        augment = self.early_augment if self._is_early(number) else self.augment
        image, mask = augment(self.picture(number), self.size(number), rng)
        return (image.expand(self.channels, -1, -1) - self.mean) / self.std, mask

    def picture(self, number: int) -> Picture:
        """The picture that sample `number` shows."""
        rounds, place = divmod(number, len(self.pictures))
        # Far from the seeds of the samples themselves.
        order = torch.randperm(len(self.pictures), generator=torch.Generator().manual_seed(2**40 + rounds))
        return self.pictures[int(order[place])]

    def size(self, number: int) -> tuple[int, int]:
        """The size of sample `number`, (j, i)."""
        sizes = self.early_sizes if self._is_early(number) else self.sizes
        return sizes[number // self.batch_size % len(sizes)]

    def _is_early(self, number: int) -> bool:
        return number // self.batch_size < self.early_batches


def _multiple(side: float) -> int:
    return max(32, round(side / 32) * 32)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    reach = max(1, math.ceil(2 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(image[:, None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None, :])[:, 0]


def _compressed(image: Tensor, quality: int) -> Tensor:
    pixels = (image * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    stored = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stored, "JPEG", quality=quality)
    array = np.array(Image.open(stored)).reshape(pixels.shape)
    return torch.from_numpy(array).movedim(-1, 0).float() / 255


def _between(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=rng))


def _chance(rng: torch.Generator, share: float) -> bool:
    return float(torch.rand(1, generator=rng)) < share
