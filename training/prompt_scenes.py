"""Where the prompt networks' samples come from: scenes with objects, of real pictures and volumes, of label maps, and of pure chance.

A scene is an image and one object in it. `acdc` is never read here: it is the unseen task of the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from head_maps import load_head_maps
from numpy.typing import NDArray
from pictures import mask_of
from PIL import Image
from prompt_shapes import label_map, paint
from scipy import ndimage
from skimage.segmentation import felzenszwalb
from torch import Tensor

Mask = NDArray[np.bool_]
Rng = np.random.Generator

SMALLEST = 12
"""Pixels that an object has at least."""

ENDS = 0.2
"""Share of slices of volumes that lie past the end of an object which their neighbour still has."""


@dataclass(frozen=True)
class Scene:
    """An image and one object in it.

    Attributes:
        image: (C, J, I) float32 in 0..1, C 1 or 3.
        target: (J, I) bool.
        several: the object is of more parts than one, and all of them are wanted.
        before: (J, I) bool: the same object in a neighbouring slice, where there is one; the target may then be empty, past the object's
            end.
    """

    image: Tensor
    target: Mask
    several: bool = False
    before: Mask | None = None


Source = Callable[[Rng], Scene | None]


@dataclass(frozen=True)
class Kind:
    """How a folder of pictures is labelled.

    Attributes:
        whole: share of samples in which all of a mask is the object; in the others it is one connected part.
        by_prompts: where all of a mask is the object, the prompts must say so, since its parts are objects as well.
    """

    whole: float
    by_prompts: bool = True


FOLDERS = {
    "busi": Kind(0.3),
    "bus_bra": Kind(0.3),
    "clinicdb": Kind(0.3),
    "kvasir": Kind(0.3),
    "hc18": Kind(1.0),
    "shenzhen": Kind(0.45),
    "drive": Kind(1.0, by_prompts=False),
    "dsb18": Kind(0.15),
}


def parts_of(mask: Mask) -> list[Mask]:
    """Connected parts that are large enough, in no order."""
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return [labels == number for number in range(1, count + 1) if sizes[number] >= SMALLEST]


def one_of(mask: Mask, kind: Kind, rng: Rng) -> tuple[Mask, bool] | None:
    """An object of a mask: all of it, or one connected part, the large ones more often."""
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(sizes >= SMALLEST)
    if not len(large):
        return None
    if rng.random() < kind.whole:
        return mask, kind.by_prompts and len(large) > 1
    weight = np.sqrt(sizes[large].astype(np.float64))
    return labels == 1 + int(rng.choice(large, p=weight / weight.sum())), False


@dataclass
class PictureFolder:
    """Labelled pictures of one folder, kept as they were stored."""

    kind: Kind
    images: list[Tensor]
    masks: list[Mask]

    @classmethod
    def read(cls, folder: Path, kind: Kind, *, largest: int = 400) -> PictureFolder:
        images, masks = [], []
        for path in sorted((folder / "images").glob("*")):
            with Image.open(path) as picture, Image.open(mask_of(path)) as mask:
                scale = min(1.0, largest / max(picture.size)) if kind.by_prompts else 1.0
                size = (round(picture.width * scale), round(picture.height * scale))
                pixels = np.asarray(picture.convert("RGB" if picture.mode != "L" else "L").resize(size, Image.Resampling.BOX))
                masks.append(np.asarray(mask.convert("L").resize(size, Image.Resampling.NEAREST)) > 0)
            if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
                pixels = pixels[..., 0]
            images.append(torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1).copy()))
        return cls(kind, images, masks)

    def __call__(self, rng: Rng) -> Scene | None:
        number = int(rng.integers(len(self.images)))
        found = one_of(self.masks[number], self.kind, rng)
        return None if found is None else Scene(self.images[number].float() / 255, found[0], found[1])


@dataclass
class Superpixels:
    """Pieces of real pictures that look alike inside (Felzenszwalb and Huttenlocher 2004), as objects of no name."""

    images: Sequence[Tensor]
    known: dict[int, NDArray[np.int32]] = field(default_factory=dict)

    def __call__(self, rng: Rng) -> Scene | None:
        number = int(rng.integers(len(self.images)))
        image = self.images[number].float() / 255
        # Found on a smaller picture: fast, and borders of a pixel are noise anyway.
        step = max(1, round(max(image.shape[1:]) / 160))
        small = torch.nn.functional.avg_pool2d(image[None], step)[0] if step > 1 else image
        if number not in self.known or rng.random() < 0.05:
            pixels = small.numpy().transpose(1, 2, 0)
            self.known[number] = felzenszwalb(
                pixels, scale=float(rng.choice((60, 150, 400, 900))), sigma=float(rng.uniform(0.6, 1.6)), min_size=40
            ).astype(np.int32)
        pieces = self.known[number]
        sizes = np.bincount(pieces.ravel())
        fitting = np.flatnonzero((sizes >= 40) & (sizes < 0.4 * pieces.size))
        return Scene(small, pieces == int(rng.choice(fitting))) if len(fitting) else None


@dataclass
class PaintedHeads:
    """Slices of whole-head label maps, each tissue in a random grey."""

    maps: Sequence[NDArray[np.uint8]]

    def __call__(self, rng: Rng) -> Scene | None:
        head = self.maps[int(rng.integers(len(self.maps)))]
        axis = int(rng.integers(3))
        number = int(rng.integers(head.shape[axis] // 8, head.shape[axis] * 7 // 8))
        labels = np.ascontiguousarray(head.take(number, axis)).astype(np.int32)
        image = paint(labels, rng)[None]
        neighbour = head.take(min(max(0, number + int(rng.choice((-2, -1, 1, 2)))), head.shape[axis] - 1), axis)
        present = [value for value in np.unique(labels) if value]
        if not present:
            return None
        ended = [value for value in np.unique(neighbour) if value and value not in present]
        if ended and rng.random() < 3 * ENDS:
            found = one_of(neighbour == rng.choice(ended), Kind(0.4), rng)
            return None if found is None else Scene(image, np.zeros_like(found[0]), before=found[0])
        if rng.random() < 0.1:  # the brain, say: several tissues that touch
            chosen = rng.choice(present, min(len(present), int(rng.integers(2, 6))), replace=False)
        else:
            chosen = np.array([rng.choice(present)])
        found = one_of(np.isin(labels, chosen), Kind(0.4), rng)
        if found is None:
            return None
        before = np.isin(neighbour, chosen)
        if not found[1]:
            before = _nearest_part(before, found[0])
        return Scene(image, found[0], found[1], before)


@dataclass
class Volumes:
    """Slices of labelled volumes."""

    images: Sequence[NDArray[np.float32]]
    labels: Sequence[NDArray[np.uint8]]

    @classmethod
    def read(cls, folder: Path, numbers: slice) -> Volumes:
        images, labels = [], []
        for path in sorted((folder / "labelsTr").glob("*.nii.gz"))[numbers]:
            name = path.name.removesuffix(".nii.gz")
            array = np.asarray(nib.load(folder / "imagesTr" / f"{name}_0000.nii.gz").dataobj, np.float32).T
            low, high = np.percentile(array, (0.5, 99.5))
            images.append(np.clip((array - low) / max(1.0, high - low), 0, 1).astype(np.float32))
            labels.append(np.asarray(nib.load(path).dataobj, np.uint8).T.copy())
        return cls(images, labels)

    def __call__(self, rng: Rng) -> Scene | None:
        case, axis = int(rng.integers(len(self.images))), int(rng.integers(3))
        labels = self.labels[case]
        wanted = int(rng.integers(0, labels.max() + 1))
        mask = labels == wanted if wanted else labels > 0
        full = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        if not len(full):
            return None
        number = int(rng.choice(full))
        if rng.random() < ENDS:
            last, past = (full[0], full[0] - 1) if rng.random() < 0.5 else (full[-1], full[-1] + 1)
            if 0 <= past < mask.shape[axis]:
                image = torch.from_numpy(self.images[case].take(past, axis).copy())[None]
                return Scene(image, np.zeros_like(mask.take(past, axis)), before=mask.take(last, axis))
        found = one_of(mask.take(number, axis), Kind(1.0), rng)
        if found is None:
            return None
        neighbour = mask.take(min(max(0, number + int(rng.choice((-2, -1, 1, 2)))), mask.shape[axis] - 1), axis)
        return Scene(torch.from_numpy(self.images[case].take(number, axis).copy())[None], found[0], found[1], neighbour)


def chance(rng: Rng) -> Scene | None:
    """A scene of random shapes."""
    labels = label_map(int(rng.choice((128, 160, 192))), rng)
    names, sizes = np.unique(labels, return_counts=True)
    fitting = names[(sizes >= SMALLEST) & (sizes < 0.7 * labels.size)]
    if not len(fitting):
        return None
    name = int(rng.choice(fitting))
    found = one_of(labels == name, Kind(0.9 if name == 30 else 0.25, by_prompts=name != 30), rng)
    if found is None:
        return None
    if rng.random() < 2 * ENDS:
        return _shrunk(labels, found[0], rng)
    return Scene(paint(labels, rng)[None], *found)


def _shrunk(labels: NDArray[np.int32], before: Mask, rng: Rng) -> Scene:
    """An object that is smaller in this slice than in the one before, or has ended; what was next to it fills its place."""
    depth = ndimage.distance_transform_edt(before)
    target = depth > rng.uniform(0, 1.3) * depth.max()
    around = labels[ndimage.binary_dilation(before, iterations=2) & ~before]
    fewer = labels.copy()
    fewer[before & ~target] = np.bincount(around).argmax() if len(around) else 0
    return Scene(paint(fewer, rng)[None], target, before=before)


def sources(data: Path) -> list[tuple[Source, float]]:
    """All sources and the share of samples from each."""
    folders = {name: PictureFolder.read(data / name / "train", kind) for name, kind in FOLDERS.items()}
    shares = {"busi": 0.05, "bus_bra": 0.05, "clinicdb": 0.03, "kvasir": 0.06, "hc18": 0.05, "shenzhen": 0.05, "drive": 0.07, "dsb18": 0.06}
    heads = load_head_maps(data / "head_label_maps", range(1, 21))
    every = [image for folder in folders.values() for image in folder.images[::2]]
    return [
        (chance, 0.23),
        (PaintedHeads([m.numpy() for m in heads.maps]), 0.18),
        (Volumes.read(data / "hippocampus", slice(0, None, 2)), 0.1),
        (Superpixels(every), 0.09),
        *((folders[name], share) for name, share in shares.items()),
    ]


def _nearest_part(mask: Mask, other: Mask) -> Mask:
    """The parts of `mask` that touch `other`."""
    labels, _ = ndimage.label(mask)
    touched = np.unique(labels[other])
    return np.isin(labels, touched[touched > 0])
