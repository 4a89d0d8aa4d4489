"""What is shown to a network that is retrained: corrected images, and others whose labels its parent gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..architecture import STRIDE
from ..engines import Engine
from ..learning.augmentation import UNCHANGED, Augmentation, in_light, light_of
from ..learning.losses import IGNORE
from ..models import Intensity, LabelClass, Model, are_sided
from .prepared import UNKNOWN, Prepared

_MOST_VOXELS = {2: 150_000, 3: 1_200_000}
"""Of one sample, by its dimensions: what two slow cores take through a training step in about a second."""


_SPARED = {"batch": 28, "instance": 8}
"""Voxels by which the usual image may be longer than the window; a norm by the image's own statistics wants to see more of it."""


_FAMILIAR, _TRIALS = 0.6, 2
"""Dice of the parent from which on it may be at home with a look, and how many looks are tried."""


_NO_UPRIGHT = ("endoscopy", "microscopy", "dermoscopy")
"""Modalities whose images are as often turned one way as another."""


@dataclass(frozen=True)
class Mixture:
    """What is drawn how often.

    Attributes:
        rehearsal: share of samples from images that nobody corrected.
        familiar: share of samples from corrected images in a look that the parent is at home with, where one is found.
        relit: share of the rehearsed and of the familiar samples that are shown in the light of an image of the other kind.
    """

    rehearsal: float = 0.25
    familiar: float = 0.4
    relit: float = 0.0


class Sampler:
    """Sample number `n` of a retraining, the same in every run with the same seed.

    The images that the parent learned from are not at hand. What comes near to them: corrected images whose grey values are changed at
    random, beyond what a scanner does, into a look in which the parent labels them as the person did, or at least better than as they are.
    There the child learns to say what the parent says; a look in which the parent is lost is not worth learning.

    A sample's target holds the class numbers (see `Prepared.target`) and then the teacher's probabilities, zero where it was not asked.

    Args:
        corrected: images with corrections, at least one.
        rehearsal: images without; may be none.
        labelled: images outside the corrections whose labels are known, to rehearse as well; may be none.
        model: the parent.
        teacher: runs the parent; None where there is nothing to rehearse.
        augment: the changes.
        mixture: how often what is drawn.
        seed: of the whole sequence.
    """

    def __init__(
        self,
        corrected: Sequence[Prepared],
        rehearsal: Sequence[Prepared],
        model: Model,
        teacher: Engine | None,
        augment: Augmentation,
        *,
        mixture: Mixture,
        labelled: Sequence[Prepared] = (),
        seed: int = 0,
    ) -> None:
        self.corrected = corrected
        self.rehearsal = (*rehearsal, *labelled)
        self._unlabelled = len(rehearsal)
        self.intensity: Intensity = model.intensity
        self.teacher = teacher
        self.plain = augment
        self.strange = replace(augment, strange_chance=1.0)
        self.mixture = mixture
        self.seed = seed
        self.size = window_of(model, [case.image.shape[1:] for case in (*corrected, *self.rehearsal)])
        self.known = max(2, model.architecture.out_channels)
        # Where a window may be laid so that it shows something: any voxel with a label, else any known one.
        self._places = [_places(case) for case in corrected]
        # How right the parent is about each case as it is; a case that it cannot be asked about is no matter of looks.
        self._own = [self._rightness(place) if teacher is not None else 1.0 for place in range(len(corrected))]

    def __call__(self, number: int) -> tuple[Tensor, Tensor]:
        """Image (C, *S), and target (1 + T, *S) float32."""
        rng = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        if self.rehearsal and _chance(rng, self.mixture.rehearsal):
            place = int(torch.randint(len(self.rehearsal), (1,), generator=rng))
            image, target = self._window(self.rehearsal[place], None, self.plain, rng)
            if place < self._unlabelled:
                target, taught = torch.full_like(target, IGNORE), self._taught(image)
            else:
                # What labels say is not asked of the parent.
                taught = torch.zeros(self.known, *self.size)
            if self.mixture.relit and _chance(rng, self.mixture.relit):
                # The parent is asked about the look that it knows, and the child has to say the same in the new one.
                image = self._in_light_of(self.corrected, image, rng)
            return image, torch.cat((target[None], taught))
        # In turn, so that one case of many is never left out by chance.
        place = number % len(self.corrected)
        if self.teacher is not None and _chance(rng, self.mixture.familiar):
            for _ in range(_TRIALS):
                relit = bool(self.rehearsal and self.mixture.relit) and _chance(rng, self.mixture.relit)
                image, target = self._window(self.corrected[place], self._places[place], self.plain if relit else self.strange, rng)
                if relit:
                    image = self._in_light_of(self.rehearsal, image, rng)
                taught = self._taught(image)
                if _dice(taught, target) >= max(_FAMILIAR, self._own[place]):
                    return image, torch.cat((target[None], taught))
        image, target = self._window(self.corrected[place], self._places[place], self.plain, rng)
        return image, torch.cat((target[None], torch.zeros(self.known, *self.size)))

    def _window(self, case: Prepared, places: np.ndarray | None, changes: Augmentation, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        own = case.image.shape[1:]
        centre = [(n - 1) / 2 for n in own]
        if any(n > s for n, s in zip(own, self.size, strict=True)):
            # Now and then anywhere, so that what is far from all labels is seen as well.
            if places is not None and len(places) and _chance(rng, 0.75):
                wanted = places[int(torch.randint(len(places), (1,), generator=rng))].astype(float)
            else:
                wanted = torch.rand(len(own), generator=rng).numpy() * np.array(own)
            wanted = wanted + (torch.rand(len(own), generator=rng).numpy() - 0.5) * np.array(self.size) / 2
            # Along an axis that fits, the whole image is seen; along another the window stays inside the image.
            centre = [
                (n - 1) / 2 if n <= s else float(np.clip(w, (s - 1) / 2, n - 1 - (s - 1) / 2))
                for n, s, w in zip(own, self.size, wanted, strict=True)
            ]
        return changes(
            torch.from_numpy(case.image),
            torch.from_numpy(case.target.astype(np.float32)),
            size=self.size,
            centre=centre,
            spacing=case.spacing,
            intensity=self.intensity,
            rng=rng,
        )

    def _in_light_of(self, cases: Sequence[Prepared], image: Tensor, rng: torch.Generator) -> Tensor:
        case = cases[int(torch.randint(len(cases), (1,), generator=rng))]
        knots = int(torch.randint(2, 5, (1,), generator=rng))
        light = light_of(torch.from_numpy(case.image), self.intensity, knots=knots)
        return in_light(image, light, self.intensity)

    def _rightness(self, place: int) -> float:
        rng = torch.Generator().manual_seed(self.seed)
        image, target = self._window(self.corrected[place], self._places[place], UNCHANGED, rng)
        return _dice(self._taught(image), target)

    def _taught(self, image: Tensor) -> Tensor:
        assert self.teacher is not None
        logits = torch.from_numpy(self.teacher(image.numpy()[None]))
        if logits.shape[1] == 1:
            logits = torch.cat((torch.zeros_like(logits), logits), 1)
        return logits.softmax(1)[0]


def _dice(taught: Tensor, target: Tensor) -> float:
    """Mean Dice of a teacher's labels over the classes that it knows and that are in the target; 0 where none is."""
    labels, known = taught.argmax(0), target != IGNORE
    found = []
    for k in range(1, len(taught)):
        truth, said = (target == k) & known, (labels == k) & known
        if truth.any():
            found.append(2 * float((truth & said).sum()) / float(truth.sum() + said.sum()))
    return sum(found) / len(found) if found else 0.0


def window_of(model: Model, grids: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Size of the samples: a whole image where it is small, else a window such as the product's, multiples of 32."""
    usual = [int(np.median([grid[axis] for grid in grids])) for axis in range(model.spatial_dims)]
    spared = _SPARED[model.architecture.norm]
    # What is seen whole would be margin for the most part, or cost twice the time: the window is laid elsewhere each time.
    size = [min(w, max(1, -(-(n - spared) // STRIDE)) * STRIDE) for w, n in zip(model.window, usual, strict=True)]
    while np.prod(size) > _MOST_VOXELS[model.spatial_dims] and max(size) > STRIDE:
        axis = int(np.argmax(size))
        size[axis] -= STRIDE
    if model.architecture.norm == "instance" and max(size) == STRIDE:
        # A single voxel, which is what five halvings leave of 32, has no deviation to divide by.
        size[-1] = 2 * STRIDE
    return tuple(size)


def augmentation_for(classes: Sequence[LabelClass], modality: str = "") -> Augmentation:
    """The usual changes; left and right are exchanged only where no class is of one side, and only images without an upright are turned
    at will."""
    usual = Augmentation(mirror=not are_sided(classes))
    return replace(usual, turn=math.pi) if modality.lower() in _NO_UPRIGHT else usual


def _places(case: Prepared) -> np.ndarray:
    labelled = np.argwhere((case.target > 0) & (case.target != UNKNOWN))
    places = labelled if len(labelled) else np.argwhere(case.target != UNKNOWN)
    return places[:: max(1, len(places) // 5000)]


def _chance(rng: torch.Generator, share: float) -> bool:
    return float(torch.rand(1, generator=rng)) < share
