"""How well a network answers a user who clicks into the middle of the largest error, time after time, while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from pictures import mask_of
from PIL import Image
from prompt_rounds import spread
from prompt_scenes import parts_of
from scipy import ndimage
from torch import Tensor, nn

from ultralightunet.engines import Engine
from ultralightunet.inference.transforms import resample
from ultralightunet.metrics import dice
from ultralightunet.prompting import Point, PromptSession
from ultralightunet.volume import Volume

Mask = NDArray[np.bool_]
CLICKS = (1, 3, 5)
SMALLEST_SLICE = 30
"""Pixels of an object in a slice that is measured."""


@dataclass(frozen=True)
class Case:
    """A crop around an object as the network sees it: image (3, J, I), object (J, I)."""

    image: Tensor
    target: Mask


def case(image: NDArray[np.float32], target: Mask, *, size: int, margin: float = 0.4) -> Case:
    """The square around `target` (J, I) in `image` (J, I) or (J, I, 3), with so much of its extent added on each side."""
    rows, columns = np.flatnonzero(target.any(1)), np.flatnonzero(target.any(0))
    half = max(12.0, max(np.ptp(rows), np.ptp(columns)) * (0.5 + margin))
    middle = ((rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2)
    window = tuple(slice(max(0, round(m - half)), min(n, round(m + half) + 1)) for m, n in zip(middle, target.shape, strict=True))
    cut = resample(image[window], (size, size))
    wanted = resample(target[window].astype(np.float32), (size, size))[0] >= 0.5
    return Case(spread(torch.from_numpy(cut)).expand(3, -1, -1), np.asarray(wanted))


def picture_cases(folder: Path, count: int, *, size: int, parts: bool) -> list[Case]:
    """One object of each of `count` pictures, evenly chosen, cropped."""
    return [case(pixels, target, size=size) for pixels, target in objects_in(folder, count, parts=parts)]


def objects_in(folder: Path, count: int, *, parts: bool) -> list[tuple[NDArray[np.float32], Mask]]:
    """Pictures (J, I, 3) and one object (J, I) of each: all of the mask, or the middle one of its connected parts by size."""
    paths = sorted((folder / "images").glob("*"))
    found = []
    for path in paths[:: max(1, len(paths) // count)][:count]:
        mask = np.asarray(Image.open(mask_of(path)).convert("L")) > 0
        objects = sorted(parts_of(mask), key=lambda part: -int(part.sum())) if parts else [mask]
        if objects and mask.any():
            found.append((np.asarray(Image.open(path).convert("RGB"), np.float32), objects[len(objects) // 2]))
    return found


def slices_of(pairs: Sequence[tuple[Path, Path]], *, labels: Sequence[int], axes: Sequence[int]) -> list[tuple[NDArray[np.float32], Mask]]:
    """Each label of each volume in its largest slice along each of `axes`: image (J, I) and object (J, I)."""
    found = []
    for image, truth in pairs:
        array = np.asarray(nib.load(image).dataobj, np.float32).T
        wanted = np.asarray(nib.load(truth).dataobj).T
        for label in labels:
            for axis in axes:
                mask = wanted == label
                number = int(mask.sum(tuple(a for a in range(3) if a != axis)).argmax())
                if mask.take(number, axis).sum() > SMALLEST_SLICE:
                    found.append((array.take(number, axis), mask.take(number, axis)))
    return found


def slice_cases(slices: Sequence[tuple[NDArray[np.float32], Mask]], *, size: int) -> list[Case]:
    """As `slices_of`, cropped."""
    return [case(image, target, size=size) for image, target in slices]


def robot(network: nn.Module, cases: Sequence[Case]) -> dict[int, float]:
    """Mean Dice after each number of `CLICKS`."""
    images = torch.stack([c.image for c in cases])
    marks = np.zeros((len(cases), 4, *images.shape[2:]), np.float32)
    answers = np.zeros((len(cases), *images.shape[2:]), bool)
    means = {}
    for click in range(1, max(CLICKS) + 1):
        for number, c in enumerate(cases):
            place = middle_of_largest(c.target != answers[number])
            if place is not None:
                j, i = place
                marks[number, 0 if c.target[place] else 1, max(0, j - 1) : j + 2, max(0, i - 1) : i + 2] = 1
        marks[:, 3] = answers
        with torch.no_grad():
            joined = torch.cat((images, torch.from_numpy(marks)), 1).split(16)
            answers = torch.cat([network(some)[:, 0] > 0 for some in joined]).numpy()
        if click in CLICKS:
            means[click] = float(np.mean([dice(a, c.target) for a, c in zip(answers, cases, strict=True)]))
    return means


def clicked(engine: Engine, image: Volume, target: Mask, *, clicks: int) -> list[float]:
    """Dice after each of so many clicks into the middle of the largest error, as a user of `PromptSession` has it."""
    session = PromptSession(image, engine=engine)
    scores = []
    for _ in range(clicks):
        place = middle_of_largest(target != session.mask)
        if place is not None:
            session.add(Point(place, positive=bool(target[place])))
        scores.append(dice(session.mask, target))
    return scores


def middle_of_largest(wrong: Mask) -> tuple[int, int] | None:
    """The pixel of the largest connected part that is furthest from its border; None where there is none."""
    labels, count = ndimage.label(wrong)
    if not count:
        return None
    largest = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    depth = ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
    j, i = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(j), int(i)
