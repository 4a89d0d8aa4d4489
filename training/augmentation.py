"""Random changes of real volumes: where they lie, and how they look."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """One labelled volume, axes (S, A, R).

    Attributes:
        name: of the case.
        image: (K, J, I) float32, mean 0 and standard deviation 1.
        labels: (K, J, I) class numbers.
        spacing: mm along (k, j, i).
    """

    name: str
    image: Tensor
    labels: Tensor
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class Augmentation:
    """Draws training crops from a case: turned, scaled, bent, mirrored, then changed in contrast, sharpness and noise.

    Attributes:
        size: voxels of a crop (k, j, i).
        spacing: mm of a crop's voxels.
        classes: number of classes with background.
        turn: largest rotation about each axis, radians.
        scale: smallest and largest scaling.
        bend: largest standard deviation of the smooth deformation, mm.
        shift: largest shift of the crop's centre from the case's, mm.
        mirror: whether left and right may be exchanged.
    """

    size: tuple[int, int, int]
    spacing: float
    classes: int
    turn: float = 0.35
    scale: tuple[float, float] = (0.8, 1.25)
    bend: float = 1.5
    shift: float = 4.0
    mirror: bool = True

    def __call__(self, case: Case, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """One crop: image (1, K, J, I), classes (K, J, I) uint8."""
        grid = self._positions(case, rng)
        floor = case.image.amin()
        image = F.grid_sample(case.image[None, None] - floor, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0] + floor
        # Classes are interpolated one by one, so that their borders stay smooth on the finer grid.
        masks = torch.stack([(case.labels == number).float() for number in range(1, self.classes)])
        shares = F.grid_sample(masks[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
        labels = torch.cat((1 - shares.sum(0, keepdim=True), shares)).argmax(0).to(torch.uint8)
        return self._look(image, rng), labels

    def _positions(self, case: Case, rng: torch.Generator) -> Tensor:
        """Where in the case each voxel of the crop lies, in `grid_sample`'s units: (1, K, J, I, 3), last axis (i, j, k)."""
        axes = [(torch.arange(n) - (n - 1) / 2) * self.spacing for n in self.size]
        position = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        knots = int(torch.randint(3, 7, (1,), generator=rng))
        field = torch.randn(1, 3, knots, knots, knots, generator=rng) * _between(rng, 0, self.bend)
        position = position + F.interpolate(field, self.size, mode="trilinear", align_corners=True)[0]
        matrix = torch.eye(3)
        for axis in range(3):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            angle = torch.tensor(_between(rng, -self.turn, self.turn))
            turn = torch.eye(3)
            turn[a, a] = turn[b, b] = angle.cos()
            turn[a, b], turn[b, a] = -angle.sin(), angle.sin()
            matrix = matrix @ turn
        matrix = matrix / _between(rng, *self.scale)
        if self.mirror and _chance(rng, 0.5):
            matrix[:, 2] *= -1
        position = torch.einsum("ab,bkji->akji", matrix, position)
        units = []
        for axis in range(3):
            extent = case.image.shape[axis] * case.spacing[axis] / 2
            units.append((position[axis] + _between(rng, -self.shift, self.shift)) / extent)
        return torch.stack(units[::-1], dim=-1)[None]

    def _look(self, image: Tensor, rng: torch.Generator) -> Tensor:
        if _chance(rng, 0.3):
            low, high = image.min(), image.max()
            image = ((image - low) / (high - low + 1e-6)).pow(_between(rng, 0.6, 1.6)) * (high - low) + low
        if _chance(rng, 0.5):
            image = image * _between(rng, 0.75, 1.3) + _between(rng, -0.2, 0.2)
        if _chance(rng, 0.25):
            coarse = [max(8, round(n / _between(rng, 1, 2))) for n in image.shape[1:]]
            small = F.interpolate(image[None], coarse, mode="trilinear", align_corners=False)
            image = F.interpolate(small, image.shape[1:], mode="trilinear", align_corners=False)[0]
        if _chance(rng, 0.25):
            bias = torch.randn(1, 1, 3, 3, 3, generator=rng) * 0.2
            image = image * F.interpolate(bias, image.shape[1:], mode="trilinear", align_corners=True)[0].exp()
        if _chance(rng, 0.4):
            image = image + torch.randn(image.shape, generator=rng) * _between(rng, 0, 0.25)
        return image


def _between(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=rng))


def _chance(rng: torch.Generator, share: float) -> bool:
    return float(torch.rand(1, generator=rng)) < share
