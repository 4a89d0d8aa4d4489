"""Samples of the prompt networks: a crop around an object, and what a user says about it, round after round.

The answer of one round is what the next one's words correct, as in a session. A sample goes on from the network's own answer to the sample
`LAG` numbers before, which the training step has computed anyway, so no further pass is needed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from prompt_scenes import Scene, Source
from prompt_shapes import noise
from prompt_strokes import Prompts, clicks, correcting, first
from scipy import ndimage
from torch import Tensor

Mask = NDArray[np.bool_]
Rng = np.random.Generator

ROUNDS = 4
GOES_ON = 0.65
"""Chance that one more word follows an answer, up to `ROUNDS` of them."""
FROM_NEIGHBOUR = 0.12
"""Share of samples in which only the mask of the neighbouring slice is given, as in propagation."""
FROM_LABELS = 0.06
"""Share of samples that begin with labels to be corrected."""


@dataclass(frozen=True)
class Turn:
    """One round of one sample: all of (J, I), `image` of (3, J, I)."""

    image: Tensor
    target: Mask
    prompts: Prompts
    previous: Mask
    round: int

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Input (7, J, I) float32 and target (J, I) uint8, as the network takes them."""
        p = self.prompts
        marks = torch.from_numpy(np.stack((p.positive, p.negative, p.area, self.previous)).astype(np.float32))
        return torch.cat((self.image, marks)), torch.from_numpy(self.target.astype(np.uint8))


class Rounds:
    """Sample number `n`, the same in every run that has not been interrupted (a resumed one begins with fresh scenes).

    Args:
        sources: of scenes, with the share of each.
        sizes: sides of the square crops, taken in turn from batch to batch.
        batch_size: of the plan.
        seed: of all randomness.
    """

    def __init__(self, sources: Sequence[tuple[Source, float]], *, sizes: Sequence[int], batch_size: int, seed: int = 0) -> None:
        self.sources, shares = zip(*sources, strict=True)
        self.shares = np.array(shares) / sum(shares)
        self.sizes, self.batch_size, self.seed = sizes, batch_size, seed
        # The training loop prepares two batches ahead of the one that it learns from, so the answer to four before is known.
        self.lag = 4 * batch_size * len(sizes)
        self.turns: dict[int, Turn] = {}
        self.answers: dict[int, Mask] = {}
        self.next_answer: int | None = None
        self.lock = threading.Lock()

    def __call__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, number))
        with self.lock:
            if self.next_answer is None:
                self.next_answer = number
            turn, answer = self.turns.pop(number - self.lag, None), self.answers.pop(number - self.lag, None)
        following = None
        if turn is not None and answer is not None and turn.round < ROUNDS and rng.random() < GOES_ON:
            prompts = correcting(turn.prompts, turn.target, answer, rng)
            following = replace(turn, prompts=prompts, previous=answer, round=turn.round + 1)
        size = self.sizes[number // self.batch_size % len(self.sizes)]
        following = following or self.fresh(size, rng)
        with self.lock:
            self.turns[number] = following
        return following.tensors()

    def fresh(self, size: int, rng: Rng) -> Turn:
        """A new scene, cropped, and the first words about it."""
        while True:
            scene = self.sources[int(rng.choice(len(self.sources), p=self.shares))](rng)
            found = None if scene is None else _cropped(scene, size, rng)
            if found is not None:
                return begun(*found, several=scene.several, rng=rng)  # type: ignore[union-attr]

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Soft Dice of each sample and cross-entropy; keeps the answers for the rounds to follow."""
        with self.lock:
            start = self.next_answer or 0
            for offset, answer in enumerate((logits.detach()[:, 0] > 0).numpy()):
                self.answers[start + offset] = answer
            self.next_answer = start + len(logits)
        return prompt_loss(logits, target)


def prompt_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice of each sample, and cross-entropy: logits (N, 1, *S), target (N, *S)."""
    wanted = target.to(logits.dtype)
    flat, given = logits[:, 0].flatten(1), wanted.flatten(1)
    found = torch.sigmoid(flat)
    dice = (2 * (found * given).sum(1) + 1) / (found.sum(1) + given.sum(1) + 1)
    return F.binary_cross_entropy_with_logits(flat, given) + 1 - dice.mean()


def begun(image: Tensor, target: Mask, before: Mask | None, *, several: bool, rng: Rng) -> Turn:
    """The first round on a crop: words about the object, a neighbour's mask, or labels to be corrected."""
    nothing, none = np.zeros_like(target), Prompts.none(target.shape)
    kind = rng.random()
    if before is not None and before.any() and (target.sum() < 10 or kind < 3 * FROM_NEIGHBOUR):
        # Past the object's end there is a neighbour's mask and no object.
        return Turn(image, target, none, before, 0)
    if kind < FROM_NEIGHBOUR:
        return Turn(image, target, none, _drifted(target, rng), 0)
    if kind < FROM_NEIGHBOUR + FROM_LABELS:
        given = _drifted(target, rng)
        return Turn(image, target, correcting(none, target, given, rng), given, 1)
    if kind < FROM_NEIGHBOUR + FROM_LABELS + 0.015 and not target.all():
        return Turn(image, nothing, none.adding(clicks(~target, rng, 2), positive=False), nothing, ROUNDS)
    return Turn(image, target, first(target, rng, several=several), nothing, 1)


def _drifted(target: Mask, rng: Rng) -> Mask:
    """`target` as a neighbouring slice or a careless hand might have it: moved, bent, grown or shrunk, a piece missing."""
    size, far = len(target), rng.uniform(0.5, 2.5)
    soft = ndimage.gaussian_filter(target.astype(np.float32), rng.uniform(0.5, 2) * far)
    bend = noise(size, rng, channels=1, cells=(5, 5))[0].numpy()
    moved = ndimage.shift(soft, rng.normal(0, 2.5, 2) * far, order=1)
    return np.asarray(moved + rng.uniform(0, 0.35) * bend * (moved > 0.02) > rng.uniform(0.2, 0.75))


def _cropped(scene: Scene, size: int, rng: Rng) -> tuple[Tensor, Mask, Mask | None] | None:
    """A turned, scaled square crop of a scene that shows at least some of its object, in a random look."""
    shown = scene.target if scene.target.any() or scene.before is None else scene.before
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    height, width = scene.target.shape
    middle = np.array([(rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2])
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1.0
    kind = rng.random()
    if kind < 0.3:
        side, middle = float(max(height, width)), np.array([height / 2, width / 2])  # all of the image
    elif kind < 0.37:
        # Inside of an object, much of which lies beyond the crop: the crop must be seen to be too small.
        side = max(extent * rng.uniform(0.15, 0.6), 16.0)
        places = np.argwhere(shown)
        middle = places[int(rng.integers(len(places)))].astype(np.float64)
    else:
        factor = math.exp(rng.uniform(math.log(1.1), math.log(5))) if kind < 0.9 else rng.uniform(0.5, 1.1)
        side = min(max(extent * factor, 24.0), 1.3 * max(height, width))
        middle = middle + rng.uniform(-0.5, 0.5, 2) * max(abs(side - extent), 0.3 * side) * (0.8 if kind < 0.9 else 0.5)
        reach = side / 2
        middle = np.array([np.clip(m, min(reach, n / 2), max(n - reach, n / 2)) for m, n in zip(middle, (height, width), strict=True)])
    angle = rng.uniform(-math.pi, math.pi) if rng.random() < 0.3 else rng.normal(0, 0.15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn = turn @ np.diag(np.exp(rng.normal(0, 0.1, 2))) @ np.diag(rng.choice((-1, 1), 2))
    if rng.random() < 0.3:
        turn = turn[:, ::-1]
    masks = [scene.target] if scene.before is None else [scene.target, scene.before]
    both = torch.cat((scene.image, torch.from_numpy(np.stack(masks).astype(np.float32))))
    # Shrunk through whole steps first, so that nothing aliases.
    step = max(1, int(side / size))
    if step > 1:
        both = F.avg_pool2d(both[None], step, ceil_mode=True, count_include_pad=False)[0]
    here = np.array(both.shape[1:], np.float64)
    axis = torch.linspace(-0.5, 0.5, size)
    j, i = torch.meshgrid(axis, axis, indexing="ij")
    matrix = torch.from_numpy(turn * side).float()
    y = middle[0] + matrix[0, 0] * j + matrix[0, 1] * i
    x = middle[1] + matrix[1, 0] * j + matrix[1, 1] * i
    if rng.random() < 0.3:
        bend = noise(size, rng, channels=2, cells=(4, 4)) * side * rng.uniform(0, 0.03)
        y, x = y + bend[0], x + bend[1]
    grid = torch.stack((2 * x / step / here[1] - 1, 2 * y / step / here[0] - 1), -1)[None].float()
    drawn = F.grid_sample(both[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    channels = len(scene.image)
    target = (drawn[channels] >= 0.5).numpy()
    before = (drawn[-1] >= 0.5).numpy() if scene.before is not None else None
    if max(target.sum(), 0 if before is None else before.sum()) < 10:
        return None
    return look(drawn[:channels], rng), target, before


def look(image: Tensor, rng: Rng) -> Tensor:
    """Another light, another machine: (C, J, I) -> (3, J, I) in 0..1, spread from the first to the last percentile."""
    if len(image) == 3 and rng.random() < 0.35:
        weights = torch.from_numpy(rng.dirichlet((1, 1, 1)).astype(np.float32))
        image = torch.einsum("c,cji->ji", weights, image)[None]
    if len(image) == 3 and rng.random() < 0.5:
        gains = torch.from_numpy(np.exp(rng.normal(0, 0.15, (3, 1, 1))).astype(np.float32))
        image = image * gains
        if rng.random() < 0.2:
            image = image[torch.from_numpy(rng.permutation(3))]
    if rng.random() < 0.2:
        image = 1 - image
    if len(image) == 1 and rng.random() < 0.12:
        image = _other_values(image, rng)
    if rng.random() < 0.35:
        image = image.clamp(0, 1).pow(math.exp(rng.normal(0, 0.4)))
    if rng.random() < 0.3:
        size = image.shape[-1]
        image = image * (rng.uniform(0.1, 0.5) * noise(size, rng, channels=1, cells=(2, 2))).exp()
    if rng.random() < 0.25:
        image = torch.from_numpy(ndimage.gaussian_filter(image.numpy(), (0, *(rng.uniform(0.4, 2.0),) * 2)))
    kind = rng.random()
    if kind < 0.3:
        image = image + torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * rng.uniform(0, 0.1)
    elif kind < 0.42:
        grain = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
        if rng.random() < 0.6:
            grain = F.avg_pool2d(grain[None], 3, 1, 1)[0] * 3
        image = image * (1 + rng.uniform(0, 0.5) * grain)
    return spread(image).expand(3, -1, -1)


def _other_values(image: Tensor, rng: Rng) -> Tensor:
    """Grey values through a smooth random curve that need not rise: what one machine shows bright another shows dark."""
    knots = np.linspace(0, 1, 6)
    curve = np.interp(np.linspace(0, 1, 256), knots, rng.random(6)).astype(np.float32)
    return torch.from_numpy(curve)[(image.clamp(0, 1) * 255).long()]


def spread(image: Tensor) -> Tensor:
    """`image` with its first and last percentile at 0 and 1, and nothing beyond them."""
    values = image.flatten()[:: max(1, image.numel() // 4096)]
    low, high = torch.quantile(values, torch.tensor((0.01, 0.99)))
    return ((image - low) / max(1e-6, float(high - low))).clamp(0, 1)
