"""A few labelled images that a model brings along: on them a new version shows, by truth, whether it still knows what the old one knew.

They lie in the model's folder, under `exemplars/exemplars.json`, which names each file with its checksum, the licence and the source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..corrections.files import image_hash
from ..disk import read_json, read_small
from ..errors import InputError, ModelError
from ..io import read_image, read_labels
from ..models import Model
from ..models.values import line, table
from ..volume import Volume
from .prepared import Array

FOLDER = "exemplars"
LIST = f"{FOLDER}/exemplars.json"

MOST_BYTES = 2 * 2**20
"""Of all files together: a model travels by mail."""


@dataclass(frozen=True)
class Exemplar:
    """One labelled image.

    Attributes:
        name: of the image's file.
        image: as read from it.
        target: its labels, class numbers on the image's grid.
    """

    name: str
    image: Volume
    target: Array

    @property
    def sha256(self) -> str:
        """Of the image, as `Revision.image_sha256`."""
        return image_hash(self.image.array, self.image.affine, channels=self.image.channels, has_spacing=self.image.has_spacing)


@dataclass(frozen=True)
class Pair:
    """Files of one exemplar on disk, an image and its labels."""

    image: Path
    labels: Path


def exemplars_of(model: Model) -> Iterator[Exemplar]:
    """The exemplars of a model, none where it brings none.

    Raises:
        ModelError: if one is missing or damaged.

    Example:
        >>> from ultralightunet import load_model
        >>> from ultralightunet.retraining.exemplars import exemplars_of
        >>> [found.target.shape == found.image.shape for found in exemplars_of(load_model("hippocampus"))][:2]
        [True, True]
    """
    for image, labels in _listed(model):
        for name, sha256 in (image, labels):
            _checked(model, name, sha256)
        folder = model.folder / FOLDER
        try:
            found, target = read_image(folder / image[0]), read_labels(folder / labels[0]).labels.astype(np.int16)
        except InputError as error:
            raise _damaged(model, str(error)) from error
        if target.shape != found.shape or int(target.max(initial=0)) >= len(model.classes):
            raise _damaged(model, f"{labels[0]} does not fit {image[0]}")
        yield Exemplar(image[0], found, target)


def files_of(model: Model) -> dict[str, bytes]:
    """The list and the files by their paths in the model's folder, to be taken along by a new version; none where there are none.

    Raises:
        ModelError: if one is missing or damaged.
    """
    listed = list(_listed(model))
    if not listed:
        return {}
    names = {name: sha256 for pair in listed for name, sha256 in pair}
    found = {f"{FOLDER}/{name}": _checked(model, name, sha256) for name, sha256 in names.items()}
    return {LIST: read_small(model.folder / LIST), **found}


def listed(pairs: Sequence[Pair], *, licence: str, source: str) -> dict[str, bytes]:
    """What `write_model` has to write for a model to bring these exemplars along, or a recipe into a folder that it makes.

    Args:
        pairs: image and labels of each, in files of different names.
        licence: under which they travel.
        source: whose they are, and what was done to them.

    Raises:
        InputError: if they are larger than `MOST_BYTES`.
    """
    blobs = {path.name: path.read_bytes() for pair in pairs for path in (pair.image, pair.labels)}
    total = sum(map(len, blobs.values()))
    if total > MOST_BYTES:
        raise InputError(
            f"expected at most {MOST_BYTES / 2**20:g} MB of exemplars, found {total / 2**20:.1f} MB; take fewer, or smaller ones"
        )
    cases = [
        {kind: {"file": path.name, "sha256": hashlib.sha256(blobs[path.name]).hexdigest()} for kind, path in vars(pair).items()}
        for pair in pairs
    ]
    facts = {"schema_version": 1, "licence": licence, "source": source, "cases": cases}
    return {LIST: (json.dumps(facts, indent=2) + "\n").encode(), **{f"{FOLDER}/{name}": blob for name, blob in blobs.items()}}


def _listed(model: Model) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """File and checksum of each exemplar's image and labels."""
    path = model.folder / LIST
    if not path.exists():
        return
    try:
        pairs = [(_file(case["image"]), _file(case["labels"])) for case in table(read_json(path))["cases"]]
    except (OSError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(model, f"its list ({error})") from error
    yield from pairs


def _file(facts: Any) -> tuple[str, str]:
    name = line(facts["file"])
    if PurePosixPath(name).name != name or "\\" in name:
        raise ValueError(f"{name!r} is no file's name")
    return name, line(facts["sha256"])


def _checked(model: Model, name: str, sha256: str) -> bytes:
    try:
        blob = read_small(model.folder / FOLDER / name)
    except (OSError, ValueError) as error:
        raise _damaged(model, f"{name} ({error})") from error
    if hashlib.sha256(blob).hexdigest() != sha256:
        raise _damaged(model, f"{name} is not what the list says")
    return blob


def _damaged(model: Model, what: str) -> ModelError:
    return ModelError(
        f"expected the labelled images that {model.id} brings along in {model.folder / FOLDER}, found a damaged one: {what}; install the "
        "model again"
    )
