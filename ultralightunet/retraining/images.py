"""Images outside the corrections: some rehearse what a model knew, the others show how far it has moved."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..corrections.files import image_hash
from ..errors import InputError
from ..inference.transforms import Orientation, grid_shape
from ..io import check_values, read_image
from ..models import Model
from ..volume import Volume
from .scoring import Labeller, agreement

_LOG = logging.getLogger(__name__)

_KNOWN = 0.9
"""Agreement of a model with itself, on an image and on the same a little noisier, from which on it is taken to know such images."""

_MOST = {2: 24, 3: 12}
"""Pictures and volumes that are kept: each has cost two runs of the parent."""

_LARGEST_CROP, _SMALLEST_PART = 1.5, 0.25
"""Sizes of an image along any axis, in windows."""

_LARGEST = 4e7
"""Voxels of the network's grid beyond which an image costs too much time."""


def sample_images() -> list[Path]:
    """The images that ship with the program, where they are installed."""
    found = find_spec("napari_ultralight")
    folders = list(found.submodule_search_locations or ()) if found else []
    return [
        path
        for folder in folders
        for path in sorted((Path(folder) / "sample_data").glob("*"))
        if path.name.endswith((".nii.gz", ".nrrd", ".png", ".jpg")) and not path.name.split(".")[0].endswith(("_mask", "_tumour"))
    ]


def images_in(places: Sequence[Path]) -> list[Path]:
    """Files and folders of files, as a person names them.

    Raises:
        InputError: if there is nothing at one of them.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise InputError(f"expected images at {place}, found nothing; check the name")
        inside = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith(".")) if place.is_dir() else [place]
        found += inside
    return found


def known_images(
    paths: Sequence[Path], labeller: Labeller, *, outside: Collection[str], strict: bool
) -> Iterator[tuple[Volume, np.ndarray]]:
    """Of some images those that a model knows how to label, with the labels that it gives.

    An image that is of another kind, a whole head for a model of crops say, tells nothing about drift: there the labels are chance, and
    change with the slightest noise. That is how such images are told apart.

    Args:
        paths: of images.
        labeller: of the parent.
        outside: `Revision.image_sha256` of images that must not be used.
        strict: whether an image that cannot be read is an error; else it is passed over.

    Raises:
        InputError: see `strict`.
    """
    found = 0
    for path in paths:
        try:
            image = check_values(read_image(path))
            if not _fits(image, labeller.model):
                continue
            labels = labeller(image)
        except InputError as error:
            if strict:
                raise
            _LOG.debug("%s is passed over: %s", path, error)
            continue
        if image_hash(image.array, image.affine, channels=image.channels, has_spacing=image.has_spacing) in outside:
            continue
        if labels.any() and agreement(labels, labeller(_noisier(image)), len(labeller.model.classes)) >= _KNOWN:
            found += 1
            yield image, labels
        if found == _MOST[labeller.model.spatial_dims]:
            return


def _fits(image: Volume, model: Model) -> bool:
    if image.spatial_dims != model.spatial_dims or image.channels != model.architecture.in_channels:
        return False
    if not model.spacing:
        return True
    turned = Orientation.of(image.affine) if image.spatial_dims == 3 else None
    shape = tuple(image.shape[axis] for axis in turned.axes) if turned else image.shape
    grid = grid_shape(shape, turned.spacing(image.spacing) if turned else image.spacing, model.spacing)
    # A model of crops has not seen what is much larger than its window, nor another one what is a small part of it.
    shares = [n / w for n, w in zip(grid, model.window, strict=True)]
    seen = max(shares) <= _LARGEST_CROP if model.box_is_image else min(shares) >= _SMALLEST_PART
    return seen and float(np.prod(grid, dtype=float)) <= _LARGEST


def _noisier(image: Volume) -> Volume:
    grey = image.array.astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.03 * float(grey.std()), grey.shape).astype(np.float32)
    low, high = float(grey.min()), float(grey.max())
    return Volume(np.clip(grey + noise, low, high).astype(image.array.dtype), image.affine, image.channels, image.has_spacing)
