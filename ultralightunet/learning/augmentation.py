"""Random changes of images that the network is to see, in 2D and 3D: where their voxels lie, and how they look.

They start from an image on the network's own grid with its grey values prepared, which is what the product shows to the network; so an
unchanged sample is exactly what it will meet in use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models import Intensity
from .losses import IGNORE


@dataclass(frozen=True)
class Augmentation:
    """How much images are changed. Every `*_chance` is a probability; every other number the largest change, 0 leaves it out.

    Attributes:
        move_chance: that a sample is moved at all; the others are shown as they lie.
        turn: about each axis (in a picture's plane), in radians.
        scale: the largest factor, and one over the smallest.
        bend: standard deviation of the smooth deformation, as a share of the window.
        mirror: whether left and right may be exchanged.
        light: of brightness and contrast, as a share of the range of grey values.
        gamma: of the logarithm of the exponent.
        colour: of each channel's gain, as a share.
        shading: standard deviation of the logarithm of a smooth change of light.
        blur_chance: that a sample is seen through half to all of its resolution.
        noise: standard deviation, as a share of the range of grey values.
        strange_chance: that the grey values are mapped to others by a random curve, which may turn dark into bright.

    Example:
        >>> import torch
        >>> from ultralightunet.learning.augmentation import Augmentation
        >>> from ultralightunet.models import Intensity
        >>> change = Augmentation(mirror=True, noise=0.0)
        >>> image, target = torch.rand(1, 48, 48), torch.zeros(48, 48, dtype=torch.int16)
        >>> where = {"size": (32, 32), "centre": (24.0, 24.0), "spacing": (1.0, 1.0)}
        >>> seen, labels = change(image, target, **where, intensity=Intensity("scale", 0, 255), rng=torch.Generator().manual_seed(0))
        >>> seen.shape, labels.dtype
        (torch.Size([1, 32, 32]), torch.int16)
    """

    move_chance: float = 0.75
    turn: float = 0.3
    scale: float = 1.2
    bend: float = 0.02
    mirror: bool = False
    light: float = 0.15
    gamma: float = 0.3
    colour: float = 0.1
    shading: float = 0.4
    blur_chance: float = 0.2
    noise: float = 0.04
    strange_chance: float = 0.0

    def __call__(
        self,
        image: Tensor,
        target: Tensor,
        *,
        size: Sequence[int],
        centre: Sequence[float],
        spacing: Sequence[float],
        intensity: Intensity,
        rng: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """A window of an image and its target, moved and looking different at random.

        Args:
            image: (C, *S) float32, prepared by the rule `intensity`.
            target: (*S), any whole numbers.
            size: of the window, in voxels.
            centre: of the window, in voxels of the image.
            spacing: of voxels, in mm or any other unit.
            intensity: see `image`.
            rng: random numbers.

        Returns:
            Image (C, *size), its darkest value where the window looks beyond it as in the product, and target (*size), `IGNORE` there.
        """
        grid = self._positions(image.shape[1:], size, centre, spacing, rng)
        seen = F.grid_sample(image[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
        # Numbers that are far from zero outside, so that zero can stand for "beyond the image".
        shifted = target.float() - _FAR
        found = F.grid_sample(shifted[None, None], grid, mode="nearest", padding_mode="zeros", align_corners=False)[0, 0]
        inside = found != 0
        if not inside.any():
            inside[:] = True
        seen = self._look(seen, inside, intensity, rng)
        return torch.where(inside, seen, seen[:, inside].min()), torch.where(found == 0, float(IGNORE), found + _FAR).to(target.dtype)

    def _look(self, image: Tensor, inside: Tensor, intensity: Intensity, rng: torch.Generator) -> Tensor:
        """Prepared grey values (C, *S) as another scanner or camera might have given them; only those `inside` (*S) matter."""
        unit, _, _ = _to_unit(image, intensity)
        if _chance(rng, self.strange_chance):
            unit = _remapped(unit, rng)
        if self.gamma > 0 and _chance(rng, 0.4):
            unit = unit.clamp(0, 1).pow(math.exp(_between(rng, -self.gamma, self.gamma)))
        if self.light > 0 and _chance(rng, 0.5):
            middle = float(unit.mean())
            unit = (unit - middle) * (1 + _between(rng, -self.light, self.light)) + middle + _between(rng, -self.light, self.light) / 2
        if self.colour > 0 and len(unit) > 1 and _chance(rng, 0.5):
            gains = [1 + _between(rng, -self.colour, self.colour) for _ in range(len(unit))]
            unit = unit * torch.tensor(gains).reshape(-1, *(1,) * (unit.ndim - 1))
        if self.shading > 0 and _chance(rng, 0.3):
            unit = unit * _smooth_field(unit.shape[1:], 3, self.shading, rng).exp()
        if _chance(rng, self.blur_chance):
            unit = _blurred(unit, rng)
        if self.noise > 0 and _chance(rng, 0.4):
            unit = unit + torch.randn(unit.shape, generator=rng) * _between(rng, 0, self.noise)
        return _prepared(unit, image, inside, intensity)

    def _positions(
        self, own: Sequence[int], size: Sequence[int], centre: Sequence[float], spacing: Sequence[float], rng: torch.Generator
    ) -> Tensor:
        """Where in an image of `own` voxels each voxel of the window lies, in `grid_sample`'s units: (1, *size, D), last axis first."""
        dims = len(size)
        unit = torch.tensor(spacing, dtype=torch.float32)
        axes = [(torch.arange(n) - (n - 1) / 2) * s for n, s in zip(size, spacing, strict=True)]
        place = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        moved = _chance(rng, self.move_chance)
        if moved and self.bend > 0:
            extent = min(n * s for n, s in zip(size, spacing, strict=True))
            knots = int(torch.randint(3, 7, (1,), generator=rng))
            place = place + torch.stack([_smooth_field(size, knots, _between(rng, 0, self.bend) * extent, rng)[0] for _ in range(dims)])
        matrix = self._matrix(dims, rng) if moved else torch.eye(dims)
        if self.mirror and _chance(rng, 0.5):
            matrix[:, -1] *= -1
        place = torch.einsum("ab,b...->a...", matrix, place)
        voxels = place / unit.reshape(-1, *(1,) * dims) + torch.tensor(centre, dtype=torch.float32).reshape(-1, *(1,) * dims)
        counts = torch.tensor(own, dtype=torch.float32).reshape(-1, *(1,) * dims)
        return ((2 * voxels + 1) / counts - 1).flip(0).movedim(0, -1)[None]

    def _matrix(self, dims: int, rng: torch.Generator) -> Tensor:
        matrix = torch.eye(dims)
        for a, b in ((0, 1),) if dims == 2 else ((1, 2), (2, 0), (0, 1)):
            angle = _between(rng, -self.turn, self.turn)
            turn = torch.eye(dims)
            turn[a, a] = turn[b, b] = math.cos(angle)
            turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
            matrix = matrix @ turn
        return matrix * math.exp(_between(rng, -1, 1) * math.log(self.scale))


def light_of(image: Tensor, intensity: Intensity, *, knots: int) -> Tensor:
    """How bright an image is from place to place: logarithms of means over `knots` parts along each axis, (C, *knots).

    Args:
        image: (C, *S) float32, prepared by the rule `intensity`.
        intensity: see `image`.
        knots: at least 1.

    Example:
        >>> import torch
        >>> from ultralightunet.learning.augmentation import light_of
        >>> from ultralightunet.models import Intensity
        >>> light_of(torch.rand(3, 64, 64), Intensity("scale", 0, 255, mean=(0.0,), std=(1.0,)), knots=4).shape
        torch.Size([3, 4, 4])
    """
    pool = {2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}[image.ndim - 1]
    unit, _, _ = _to_unit(image, intensity)
    return (pool(unit.clamp_min(0), knots) + _DARKEST).log()


def in_light(image: Tensor, light: Tensor, intensity: Intensity) -> Tensor:
    """An image in the light of another: what is coarse in its brightness is the other's, what is fine its own.

    What Yang and Soatto (2020, arXiv 2004.05498) do to the low frequencies of the spectrum, done in place, so that a shadow stays where
    it fell.

    Args:
        image: (C, *S) float32, prepared by the rule `intensity`.
        light: of the other, see `light_of`.
        intensity: see `image`.

    Returns:
        (C, *S), prepared by the rule `intensity`.

    Example:
        >>> import torch
        >>> from ultralightunet.learning.augmentation import in_light, light_of
        >>> from ultralightunet.models import Intensity
        >>> rule = Intensity("scale", 0, 255)
        >>> dark, bright = torch.full((1, 32, 32), 0.2), torch.full((1, 32, 32), 0.6)
        >>> round(float(in_light(dark, light_of(bright, rule, knots=2), rule).mean()), 2)
        0.56
    """
    change = light - light_of(image, intensity, knots=light.shape[-1])
    factors = F.interpolate(change[None], image.shape[1:], mode=_LINEAR[image.ndim - 1], align_corners=False)[0].exp()
    unit, _, _ = _to_unit(image, intensity)
    return _prepared(unit * factors, image, torch.ones(image.shape[1:], dtype=torch.bool), intensity)


UNCHANGED = Augmentation(0, 0, 1, 0, False, 0, 0, 0, 0, 0, 0, 0)
"""Nothing is changed."""

_DARKEST = 0.02
"""Of the range of grey values: what is darker is black, and has no light to compare."""

_FAR = 100_000.0
"""Far from every class number, and whole numbers beside it are exact in single precision."""


def _to_unit(image: Tensor, intensity: Intensity) -> tuple[Tensor, Tensor | float, Tensor | float]:
    """Prepared grey values from about 0 to 1, and what takes them back: times the third plus the second."""
    if intensity.rule == "percentile":
        low, high = float(image.amin()), float(image.amax())
        return (image - low) / max(high - low, 1e-6), low, high - low
    shape = (-1, *(1,) * (image.ndim - 1))
    mean, std = (torch.tensor(values, dtype=torch.float32).reshape(shape) for values in (intensity.mean, intensity.std))
    low, high = (0.0, 1.0) if intensity.rule == "scale" else (intensity.low, intensity.high)
    bottom, span = (low - mean) / std, (high - low) / std
    return (image - bottom) / span, bottom, span


def _prepared(unit: Tensor, image: Tensor, inside: Tensor, intensity: Intensity) -> Tensor:
    """Grey values from 0 to 1, made of those of `image` (C, *S), as the rule gives them; those `inside` (*S) count."""
    if intensity.rule == "percentile":
        # The product gives each image, whatever it looks like, the same mean and deviation.
        before, after = image[:, inside], unit[:, inside]
        return (unit - after.mean()) / after.std().clamp_min(1e-6) * before.std() + before.mean()
    _, low, span = _to_unit(image, intensity)
    return unit.clamp(0, 1) * span + low


def _remapped(unit: Tensor, rng: torch.Generator) -> Tensor:
    """Grey values through a random curve: straight down as often as bent, so that negatives are common."""
    if _chance(rng, 0.5):
        return 1 - unit
    knots = torch.rand(5, generator=rng)
    knots = (knots - knots.min()) / (knots.max() - knots.min()).clamp_min(1e-3)
    place = unit.clamp(0, 1) * (len(knots) - 1)
    below = place.floor().long().clamp_max(len(knots) - 2)
    return torch.lerp(knots[below], knots[below + 1], place - below)


def _smooth_field(size: Sequence[int], knots: int, deviation: float, rng: torch.Generator) -> Tensor:
    """A smooth random field (1, *size)."""
    coarse = torch.randn(1, 1, *(knots,) * len(size), generator=rng) * deviation
    return F.interpolate(coarse, tuple(size), mode=_LINEAR[len(size)], align_corners=True)[0]


def _blurred(image: Tensor, rng: torch.Generator) -> Tensor:
    coarse = [max(4, round(n / _between(rng, 1, 2))) for n in image.shape[1:]]
    mode = _LINEAR[len(coarse)]
    small = F.interpolate(image[None], coarse, mode=mode, align_corners=False)
    return F.interpolate(small, image.shape[1:], mode=mode, align_corners=False)[0]


_LINEAR = {2: "bilinear", 3: "trilinear"}


def _between(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=rng))


def _chance(rng: torch.Generator, share: float) -> bool:
    return float(torch.rand(1, generator=rng)) < share
