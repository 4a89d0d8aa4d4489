"""What a dataset is like: shapes, spacing, grey values; and what is odd about it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..events import Note, Progress
from ..inference.transforms import Orientation, scale_limits
from ..io import check_values
from ..models import Intensity
from ..volume import Volume
from .dataset import Dataset
from .oddities import Oddities

_MOST_LOOKED_AT = 40
"""Cases that the fingerprint is taken from, evenly spread."""


@dataclass(frozen=True)
class Fingerprint:
    """Facts of a dataset that a network depends on.

    Attributes:
        spatial_dims: 2 or 3.
        channels: of the images.
        shape: median, along (S, A, R) for volumes.
        spacing: median in mm, likewise.
        has_spacing: whether the images tell their voxels' size.
        low: of the grey values of what is labelled, the 0.5th percentile.
        high: likewise the 99.5th.
        mean: of each channel of the whole images, from 0 to 1 (pictures); of what is labelled (volumes).
        std: likewise.
        is_bytes: whether all images are pictures of 8 bits.
        cases: of the whole dataset.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.events import finish
        >>> from ultralightunet.new_task import Dataset, LabelledImage, fingerprint_of
        >>> case = LabelledImage("1", (Path("sample_data/tumour_mri_1.nrrd"),), Path("sample_data/tumour_mri_1_tumour.nrrd"))
        >>> found = finish(fingerprint_of(Dataset((case,), (LabelClass(0, "background"), LabelClass(1, "tumour")), ("MR",))))
        >>> found.spatial_dims, found.channels, found.cases
        (3, 1, 1)
    """

    spatial_dims: int
    channels: int
    shape: tuple[float, ...]
    spacing: tuple[float, ...]
    has_spacing: bool
    low: float
    high: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    is_bytes: bool
    cases: int


def fingerprint_of(dataset: Dataset) -> Generator[Progress | Note, None, Fingerprint]:
    """Look at the images and labels of a dataset; an event after each, and notes on what is odd.

    Raises:
        InputError: if an image and its labels do not fit each other, the images are of several kinds, or one image has two labels.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.new_task import Dataset, LabelledImage, fingerprint_of
        >>> case = LabelledImage("1", (Path("sample_data/tumour_mri_1.nrrd"),), Path("sample_data/tumour_mri_1_tumour.nrrd"))
        >>> dataset = Dataset((case,), (LabelClass(0, "background"), LabelClass(1, "tumour")), channels=("MR",))
        >>> [(event.done, event.total) for event in fingerprint_of(dataset)]
        [(0, 1), (1, 1)]
    """
    chosen = [dataset.cases[n] for n in np.unique(np.linspace(0, len(dataset.cases) - 1, _MOST_LOOKED_AT).round().astype(int))]
    shapes, spacings, means, stds, inside = [], [], [], [], []
    kinds: dict[tuple[int, int], str] = {}
    is_bytes = has_spacing = True
    oddities = Oddities(dataset)
    for done, case in enumerate(chosen):
        yield Progress("Looking at the data", done, len(chosen))
        image = check_values(case.image())
        target = dataset.target(case, image)
        kinds.setdefault((image.spatial_dims, image.channels), case.name)
        if len(kinds) > 1:
            (first, one), (second, other) = kinds.items()
            raise InputError(
                f"expected images of one kind, found {one} with {_kind(*first)} and {other} with {_kind(*second)}; "
                "keep one kind in a dataset"
            )
        oddities.look(case.name, image, target)
        shape, spacing = _turned(image)
        shapes.append(shape)
        spacings.append(spacing)
        is_bytes &= image.array.dtype == np.uint8
        has_spacing &= image.has_spacing
        grey = image.array.reshape(-1, image.channels).astype(np.float32)
        low, high = scale_limits(image.array, Intensity("scale", 0.0, 255.0))
        means.append((grey.mean(0) - low) / max(high - low, 1e-6))
        stds.append(grey.std(0) / max(high - low, 1e-6))
        labelled = grey[(target > 0).ravel() & (target.ravel() <= len(dataset.classes))]
        inside.append(labelled[:: max(1, len(labelled) // 10_000)].ravel())
    yield Progress("Looking at the data", len(chosen), len(chosen))
    values = np.concatenate(inside)
    if not len(values):
        raise InputError("expected labels in the dataset, found background only; check that the labels are what they should be")
    yield from oddities.notes(all_seen=len(chosen) == len(dataset.cases))
    dims, channels = next(iter(kinds))
    low, high = np.percentile(values, (0.5, 99.5))
    return Fingerprint(
        spatial_dims=dims,
        channels=channels,
        shape=tuple(np.median(shapes, axis=0)),
        spacing=tuple(np.median(spacings, axis=0)),
        has_spacing=has_spacing,
        low=float(low),
        high=float(max(high, low + 1e-3)),
        mean=tuple(float(v) for v in np.mean(means, axis=0)) if dims == 2 else (float(values.mean()),),
        std=tuple(float(max(v, 1e-3)) for v in np.mean(stds, axis=0)) if dims == 2 else (float(max(values.std(), 1e-3)),),
        is_bytes=is_bytes,
        cases=len(dataset.cases),
    )


def _turned(image: Volume) -> tuple[tuple[int, ...], tuple[float, ...]]:
    if image.spatial_dims == 2:
        return image.shape, image.spacing
    orientation = Orientation.of(image.affine)
    return tuple(image.shape[axis] for axis in orientation.axes), orientation.spacing(image.spacing)


def _kind(dims: int, channels: int) -> str:
    return f"{dims} dimensions and {channels} channel{'s' if channels > 1 else ''}"
