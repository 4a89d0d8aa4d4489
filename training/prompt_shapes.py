"""Scenes that nobody drew: smooth regions, cells, hollow organs and branching tubes in random grey, to learn objects without a hospital.

Painting a random grey value and texture on every label of a map follows SynthSeg (Billot et al. 2023, section 3) and its descendants.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

Labels = NDArray[np.int32]
Rng = np.random.Generator


def regions(size: int, rng: Rng) -> Labels:
    """A map (size, size) in which each pixel has the label of the highest of several smooth random fields."""
    count = int(rng.integers(2, 13))
    fields = noise(size, rng, channels=count, cells=tuple(rng.integers(2, 14, 2)))
    if rng.random() < 0.5:
        fields += 0.4 * noise(size, rng, channels=count, cells=(24, 24))
    return fields.argmax(0).to(torch.int32).numpy() + 1


def cells(size: int, rng: Rng) -> Labels:
    """Ellipses on a plain ground or on regions, of one look or of several, some with a nucleus or hollow."""
    labels = np.ones((size, size), np.int32) if rng.random() < 0.5 else np.minimum(regions(size, rng), 3)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    bend = 0.1 * size * noise(size, rng, channels=2, cells=(4, 4)).numpy() * rng.random()
    y, x = y + bend[0], x + bend[1]
    several = rng.random() < 0.6
    typical = size * rng.uniform(0.04, 0.16) if several else size * rng.uniform(0.1, 0.4)
    look, inside = int(rng.integers(20, 23)), rng.random()
    for number in range(int(rng.integers(3, 26)) if several else int(rng.integers(1, 4))):
        middle = rng.uniform(0, size, 2)
        axes = typical * rng.uniform(0.6, 1.5, 2)
        angle = rng.uniform(0, np.pi)
        dy, dx = y - middle[0], x - middle[1]
        along = (np.cos(angle) * dy + np.sin(angle) * dx) / axes[0]
        across = (-np.sin(angle) * dy + np.cos(angle) * dx) / axes[1]
        radius = along**2 + across**2
        labels[radius < 1] = look if several else 20 + number
        if inside < 0.25:
            labels[radius < 0.35] = 40
        elif inside < 0.4:
            labels[radius < 0.5] = labels[int(middle[0]) % size, 0]
    return labels


def mosaic(size: int, rng: Rng) -> Labels:
    """Voronoi cells with bent borders; a few neighbours share a label."""
    count = int(rng.integers(4, 40))
    seeds = rng.uniform(0, size, (count, 2)).astype(np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    bend = 0.06 * size * noise(size, rng, channels=2, cells=(6, 6)).numpy()
    squared = (y[None] + bend[0] - seeds[:, 0, None, None]) ** 2 + (x[None] + bend[1] - seeds[:, 1, None, None]) ** 2
    names = rng.integers(1, max(3, count), count).astype(np.int32)
    return names[squared.argmin(0)]


def hollows(size: int, rng: Rng) -> Labels:
    """Organs with walls, thicker on one side, some with a neighbour that leans on them and is filled alike, as in a heart."""
    labels = np.ones((size, size), np.int32) if rng.random() < 0.3 else np.minimum(regions(size, rng), 4)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    for number in range(int(rng.integers(1, 4))):
        bend = rng.uniform(0, 0.06) * size * noise(size, rng, channels=2, cells=(4, 4)).numpy()
        middle, radius = rng.uniform(0.15, 0.85, 2) * size, size * rng.uniform(0.06, 0.28)
        wall, filling = 50 + 8 * number, 53 + 8 * number

        def within(middle: NDArray[np.float64], radius: float, bend: NDArray[np.float32] = bend) -> NDArray[np.float32]:
            axes = radius * rng.uniform(0.7, 1.4, 2)
            angle = rng.uniform(0, np.pi)
            dy, dx = y + bend[0] - middle[0], x + bend[1] - middle[1]
            along, across = np.cos(angle) * dy + np.sin(angle) * dx, np.cos(angle) * dx - np.sin(angle) * dy
            return np.hypot(along / axes[0], across / axes[1])

        if rng.random() < 0.6:
            side = rng.uniform(0, 2 * np.pi)
            away = radius * rng.uniform(0.7, 1.5) * np.array((np.sin(side), np.cos(side)))
            beside = within(middle + away, radius * rng.uniform(0.6, 1.4))
            if rng.random() < 0.4:
                labels[beside < 1 + rng.uniform(0.05, 0.2)] = wall if rng.random() < 0.5 else wall + 1
            labels[beside < 1] = filling if rng.random() < 0.5 else filling + 1
        around = within(middle, radius)
        side = rng.uniform(0, 2 * np.pi)
        inner = around + rng.uniform(0, 0.25) / radius * (np.sin(side) * (y - middle[0]) + np.cos(side) * (x - middle[1]))
        labels[around < 1] = wall
        edge = rng.uniform(0.35, 0.9)
        labels[inner < edge] = filling
        if rng.random() < 0.35:
            labels[inner < edge * rng.uniform(0.3, 0.8)] = filling + 2
    return labels


def tubes(size: int, rng: Rng) -> Labels:
    """Branching tubes of falling width on a plain ground or on regions."""
    labels = np.ones((size, size), np.int32) if rng.random() < 0.6 else np.minimum(regions(size, rng), 3)
    widest = rng.uniform(0.8, 4.0)
    lines = [np.zeros((size, size), bool) for _ in range(3)]
    for _ in range(int(rng.integers(1, 5))):
        _grow(lines, rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi), 0, int(rng.integers(size // 2, 2 * size)), rng)
    for number, drawn in enumerate(lines):
        if drawn.any():
            labels[ndimage.distance_transform_edt(~drawn) <= widest * 0.6**number] = 30
    return labels


def _grow(lines: list[NDArray[np.bool_]], place: NDArray[np.float64], angle: float, order: int, length: int, rng: Rng) -> None:
    """Draw one branch and those that leave it into `lines[order]` and the orders behind it."""
    size, drawn, bend = len(lines[0]), lines[order], rng.uniform(0.02, 0.25)
    for _ in range(length):
        angle += rng.normal(0, bend)
        place = place + (np.sin(angle), np.cos(angle))
        j, i = int(place[0]), int(place[1])
        if not (0 <= j < size and 0 <= i < size):
            return
        drawn[j, i] = True
        if order + 1 < len(lines) and rng.random() < 0.04:
            _grow(lines, place, angle + rng.choice((-1, 1)) * rng.uniform(0.4, 1.3), order + 1, length // 2, rng)


MAPS: tuple[tuple[Callable[[int, Rng], Labels], float], ...] = (
    (regions, 0.32),
    (cells, 0.2),
    (mosaic, 0.1),
    (tubes, 0.2),
    (hollows, 0.18),
)
"""Kinds of label maps, and the share of each."""


def label_map(size: int, rng: Rng) -> Labels:
    """A label map (size, size) of a random kind; labels from 1."""
    kinds, shares = zip(*MAPS, strict=True)
    return kinds[int(rng.choice(len(kinds), p=shares))](size, rng)


def paint(labels: Labels, rng: Rng) -> Tensor:
    """A grey image (H, W) in 0..1 in which each label has a random value and texture."""
    size = max(labels.shape)
    count = int(labels.max()) + 1
    # Sometimes neighbours differ little, as soft tissues do in CT.
    spread = rng.uniform(0.15, 1.0) if rng.random() < 0.4 else 1.0
    values = 0.5 + spread * (rng.random(count) - 0.5)
    if (labels == 0).any() and rng.random() < 0.7:
        values[0] = 0.0
    image = torch.from_numpy(values.astype(np.float32)[labels])
    if rng.random() < 0.6:
        grain = noise(size, rng, channels=1, cells=(int(rng.integers(8, 65)),) * 2)[0, : labels.shape[0], : labels.shape[1]]
        strength = torch.from_numpy((0.15 * rng.random(count) * rng.integers(0, 2, count)).astype(np.float32)[labels])
        image = image + grain * strength
    return image


def noise(size: int, rng: Rng, *, channels: int, cells: tuple[int, int]) -> Tensor:
    """Smooth normal noise (channels, size, size) with about so many bumps along each axis."""
    knots = torch.from_numpy(rng.standard_normal((1, channels, int(cells[0]) + 2, int(cells[1]) + 2)).astype(np.float32))
    return F.interpolate(knots, (size, size), mode="bicubic", align_corners=True)[0]
