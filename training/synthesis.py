"""Head MR images of any contrast, synthesised from label maps on the fly.

Follows the idea of SynthSeg (Billot et al. 2023, doi 10.1016/j.media.2023.102789, section 3): deform a label map, draw a grey value
distribution per label at random, then degrade the image the way scanners do. The network that learns from such
images cannot lean on one contrast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from head_maps import EXTRACEREBRAL, HeadMaps
from torch import Tensor

T1_MEANS = {
    "cerebral white matter": 0.80,
    "cerebral cortex": 0.55,
    "lateral ventricle": 0.17,
    "cerebellum white matter": 0.77,
    "cerebellum cortex": 0.54,
    "thalamus": 0.68,
    "caudate": 0.58,
    "putamen": 0.63,
    "pallidum": 0.74,
    "third and fourth ventricle": 0.17,
    "brain-stem": 0.74,
    "hippocampus": 0.55,
    "amygdala": 0.56,
    "accumbens": 0.58,
    "ventral diencephalon": 0.70,
    "extra-ventricular CSF": 0.17,
}
"""Typical T1-weighted grey values, white matter at 0.8; the easier part of what the network sees is drawn around these."""

T1_MEANS_OUTSIDE = {502: 0.5, 506: 0.2, 507: 0.7, 508: 0.6, 509: 0.45, 511: 0.5, 512: 0.65, 514: 0.3, 515: 0.22, 516: 0.3, 530: 0.6}
"""The same for the values from `EXTRACEREBRAL` on, judged by where they lie (507 fat and muscle, 511 skin, 515 skull, ...)."""


class HeadSynthesizer:
    """Draws (image, classes) pairs from head maps; sample number `n` is the same in every run with the same seed.

    Args:
        heads: the label maps.
        size: voxels of a sample along k, j, i.
        spacing: voxel size of a sample in mm.
        seed: of the whole sequence.
        t1_share: share of samples with grey values near T1, by sample number; the others are drawn without any prior.
        target_of_class: maps the classes of `heads` to those of the task; None keeps them.
    """

    def __init__(
        self,
        heads: HeadMaps,
        *,
        size: tuple[int, int, int],
        spacing: float,
        seed: int,
        t1_share: Callable[[int], float],
        target_of_class: Tensor | None = None,
    ) -> None:
        self.heads = heads
        self.size = size
        self.spacing = spacing
        self.seed = seed
        self.t1_share = t1_share
        classes = heads.tissue_class
        self.target = (classes if target_of_class is None else target_of_class[classes]).to(torch.uint8)
        self.in_brain = classes > 0
        prior = [
            T1_MEANS.get(heads.class_names[c], T1_MEANS_OUTSIDE.get(v, -1.0))
            for c, v in zip(classes.tolist(), heads.tissue_value.tolist(), strict=True)
        ]
        self.t1 = torch.tensor(prior)
        self.csf = torch.tensor([heads.class_names[c] == "extra-ventricular CSF" for c in classes])

    def __call__(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number`: image (1, K, J, I) float32 of mean 0 and standard deviation 1, classes (K, J, I) uint8."""
        rng = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        tissue = self._deformed(rng)
        target = self.target[tissue.long()]
        image = self._painted(tissue, self.t1_share(number), rng)
        image = self._degraded(image, rng)
        if _chance(rng, 0.25):
            # A cut field of view: no data beyond it, hence nothing to find there.
            axis, cut = _integer(rng, 0, 3), _integer(rng, 4, 30)
            side = slice(0, cut) if _chance(rng, 0.6) else slice(self.size[axis] - cut, None)
            outside = (*(slice(None),) * axis, side)
            image[outside], target[outside] = image.min(), 0
        return normalize(image)[None], target

    def plain(self, number: int) -> tuple[Tensor, Tensor]:
        """A whole head as it is stored, at 1 mm and T1-like as a good scanner shows it: image (K, J, I), classes (K, J, I) uint8."""
        rng = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        stored = self.heads.maps[number % len(self.heads.maps)]
        fine = F.interpolate(stored[None, None].float(), scale_factor=self.heads.spacing, mode="nearest-exact")
        tissue = fine[0, 0].long()
        jitter = torch.where(self.heads.tissue_value >= EXTRACEREBRAL, 0.1, 0.02)
        means = torch.rand(len(self.target), generator=rng)
        means = torch.where(self.t1 >= 0, (self.t1 + torch.randn(len(means), generator=rng) * jitter).clamp_min(0), means)
        spreads = _uniform(rng, 0.01, 0.04, len(means))
        means[0] = 0.0
        image = _blurred(means[tissue] + spreads[tissue] * torch.randn(tissue.shape, generator=rng), 0.7)
        k, j, i = tissue.shape
        image = image * _upsampled(torch.randn(1, 3, 3, 3, generator=rng) * 0.15, (k, j, i))[0].exp_()
        return image + torch.randn(tissue.shape, generator=rng) * 0.02, self.target[tissue]

    def _deformed(self, rng: torch.Generator) -> Tensor:
        """A head after random flip, rotation, scaling, shear, shift and smooth deformation, on the sample's grid."""
        source = self.heads.maps[_integer(rng, 0, len(self.heads.maps))]
        brain = torch.nonzero(self.in_brain[source.long()])
        centre = (brain.amin(0) + brain.amax(0)).float() / 2
        ratio = self.spacing / self.heads.spacing
        angles = _uniform(rng, -0.35, 0.35, 3) * (torch.rand(3, generator=rng) < 0.8)
        scales = _uniform(rng, 0.86, 1.16, 1) * _uniform(rng, 0.93, 1.07, 3)
        matrix = _rotation(angles) @ torch.diag(scales) + _uniform(rng, -0.06, 0.06, 9).view(3, 3)
        if _chance(rng, 0.5):
            matrix[:, 2] *= -1
        shift = _uniform(rng, -24, 24, 3) / self.heads.spacing
        axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in self.size]
        knots = _integer(rng, 4, 9)
        amplitude = float(_uniform(rng, 0, 4, 1)) / self.heads.spacing
        field = _upsampled(torch.randn(3, knots, knots, knots, generator=rng) * amplitude, self.size)
        index = torch.zeros(self.size, dtype=torch.long)
        inside = torch.ones(self.size, dtype=torch.bool)
        for axis, length in enumerate(source.shape):
            k, j, i = (matrix[axis] * ratio).tolist()
            position = field[axis].add_(axes[0][:, None, None] * k).add_(axes[1][:, None] * j).add_(axes[2] * i)
            voxel = position.add_(float(centre[axis] + shift[axis])).round_().long()
            inside &= (voxel >= 0) & (voxel < length)
            index = index * length + voxel
        return torch.where(inside, source.flatten()[index.clamp_(0, source.numel() - 1)], 0)

    def _painted(self, tissue: Tensor, t1_share: float, rng: torch.Generator) -> Tensor:
        """A grey value per voxel, normally distributed around a random mean and spread per tissue."""
        count = len(self.target)
        outside_brain = self.heads.tissue_value >= EXTRACEREBRAL
        means = torch.rand(count, generator=rng)
        spreads = _uniform(rng, 0.005, 0.09, count)
        if _chance(rng, t1_share):
            jitter = torch.where(outside_brain, 0.15, 0.05)
            means = torch.where(self.t1 >= 0, (self.t1 + torch.randn(count, generator=rng) * jitter).clamp_min(0), means)
            spreads = _uniform(rng, 0.01, 0.06, count)
        if _chance(rng, 0.7):
            means[0], spreads[0] = 0.0, float(_uniform(rng, 0, 0.02, 1))
        if _chance(rng, 0.3):
            # Skull-stripped: only the brain is left, with or without the fluid around it, its edge off by a voxel or two.
            keep = self.in_brain & ~self.csf if _chance(rng, 0.5) else self.in_brain
            kept = keep[tissue.long()].float()[None, None]
            grow = _integer(rng, 0, 3)
            kept = F.max_pool3d(kept, 2 * grow + 1, 1, grow)[0, 0]
            means[0], spreads[0] = 0.0, 0.0
            tissue = torch.where(kept > 0, tissue, 0)
        noise = torch.randn(self.size, generator=rng)
        image = means[tissue.long()] + spreads[tissue.long()] * noise
        if _chance(rng, 0.6):
            # One label outside the brain covers several tissues, fat and muscle say: give it a second mean in patches.
            second = torch.where(outside_brain, torch.randn(count, generator=rng) * 0.3, 0.0)
            knots = _integer(rng, 5, 16)
            patches = _upsampled(torch.randn(1, knots, knots, knots, generator=rng), self.size)[0].mul_(6).sigmoid_()
            image = (image + second[tissue.long()] * patches).clamp_min_(0)
        if _chance(rng, 0.35):
            image = self._with_lesion(image, tissue, rng)
        return image

    def _with_lesion(self, image: Tensor, tissue: Tensor, rng: torch.Generator) -> Tensor:
        """A blob of another grey value inside the brain; the target keeps calling it brain."""
        inside = torch.nonzero(self.in_brain[tissue.long()])
        if len(inside) == 0:
            return image
        centre = inside[_integer(rng, 0, len(inside))].float()
        radius = _uniform(rng, 3, 24, 3) / self.spacing
        axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in self.size], indexing="ij")
        distance = sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radius, strict=True))
        bumps = _upsampled(torch.randn(1, 8, 8, 8, generator=rng) * 0.4, self.size)[0]
        weight = torch.sigmoid((1 - distance + bumps) * 4) * self.in_brain[tissue.long()]
        value = float(torch.rand(1, generator=rng))
        return image * (1 - weight) + value * weight

    def _degraded(self, image: Tensor, rng: torch.Generator) -> Tensor:
        """Partial volume, bias field, thick slices, ghosts, noise, gamma."""
        image = _blurred(image, float(_uniform(rng, 0.3, 1.0, 1)))
        knots = _integer(rng, 2, 6)
        bias = torch.randn(1, knots, knots, knots, generator=rng) * float(_uniform(rng, 0, 0.5, 1))
        image = image * _upsampled(bias, self.size)[0].exp_()
        if _chance(rng, 0.4):
            axis, factor = _integer(rng, 0, 3), float(_uniform(rng, 1.1, 7 / self.spacing, 1))
            coarse = list(self.size)
            coarse[axis] = max(8, round(self.size[axis] / factor))
            image = F.interpolate(image[None, None], coarse, mode="area")
            image = F.interpolate(image, self.size, mode="trilinear", align_corners=False)[0, 0]
        elif _chance(rng, 0.3):
            coarse = [max(16, round(n / float(_uniform(rng, 1, 2, 1)))) for n in self.size]
            image = F.interpolate(image[None, None], coarse, mode="trilinear", align_corners=False)
            image = F.interpolate(image, self.size, mode="trilinear", align_corners=False)[0, 0]
        if _chance(rng, 0.1):
            image = image + float(_uniform(rng, 0.03, 0.15, 1)) * image.roll(_integer(rng, 10, 40), dims=_integer(rng, 0, 2))
        noise = float(_uniform(rng, 0, 0.1, 1)) * float(torch.rand(1, generator=rng))
        image = image + torch.randn(self.size, generator=rng) * noise
        if _chance(rng, 0.5):
            image = image.abs()
        low, high = image.min(), image.max()
        gamma = float((torch.randn(1, generator=rng) * 0.25).exp())
        image = ((image - low) / (high - low + 1e-6)).pow(gamma)
        return image


def normalize(image: Tensor) -> Tensor:
    """Clip to the 0.5th and 99.5th percentile, then mean 0 and standard deviation 1: the shipped models' intensity rule."""
    sample = image.flatten()[:: max(1, image.numel() // 200_000)].sort().values
    low, high = sample[int(0.005 * (len(sample) - 1))], sample[int(0.995 * (len(sample) - 1))]
    image = image.clamp(low, high)
    return (image - image.mean()) / image.std().clamp_min(1e-6)


def _uniform(rng: torch.Generator, low: float, high: float, count: int) -> Tensor:
    return torch.rand(count, generator=rng) * (high - low) + low


def _integer(rng: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (1,), generator=rng))


def _chance(rng: torch.Generator, share: float) -> bool:
    return float(torch.rand(1, generator=rng)) < share


def _upsampled(field: Tensor, size: tuple[int, int, int]) -> Tensor:
    return F.interpolate(field[None], size, mode="trilinear", align_corners=True)[0]


def _rotation(angles: Tensor) -> Tensor:
    matrix = torch.eye(3)
    for axis, angle in enumerate(angles):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = torch.eye(3)
        turn[a, a] = turn[b, b] = angle.cos()
        turn[a, b], turn[b, a] = -angle.sin(), angle.sin()
        matrix = matrix @ turn
    return matrix


def _blurred(image: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(2.5 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = taps / taps.sum()
    image = image[None, None]
    for axis in range(3):
        shape, pad = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[axis + 2], pad[axis] = len(taps), reach
        image = F.conv3d(image, taps.view(shape), padding=pad)
    return image[0, 0]
