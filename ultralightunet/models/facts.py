"""What is known of a model, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from ..architecture import Architecture


@dataclass(frozen=True)
class LabelClass:
    """One class of labels.

    Attributes:
        index: the label value.
        name: e.g. "hippocampus".
        color: red, green, blue, 0..255.
        snomed: SNOMED CT code of the structure, or "".

    Example:
        >>> from ultralightunet import LabelClass
        >>> LabelClass(1, "brain", (220, 150, 130), snomed="12738006").name
        'brain'
    """

    index: int
    name: str
    color: tuple[int, int, int] = (128, 128, 128)
    snomed: str = ""


def are_sided(classes: Iterable[LabelClass]) -> bool:
    """Whether a class is of the left or of the right, so that a mirror image is another image.

    Example:
        >>> from ultralightunet.models import LabelClass, are_sided
        >>> are_sided([LabelClass(0, "background"), LabelClass(1, "left kidney")])
        True
    """
    words = (word for entry in classes for word in entry.name.lower().replace("-", " ").replace("_", " ").split())
    return any(word in ("left", "right") for word in words)


@dataclass(frozen=True)
class Intensity:
    """How grey values become the network's input.

    Attributes:
        rule: "percentile" clips to the percentiles `low` and `high` of the image, then subtracts its mean and divides by its
            standard deviation; "window" clips to the values `low` and `high` (Hounsfield units, say), then subtracts `mean`
            and divides by `std`; "scale" maps the range of the image's integer type (or `low`..`high`) to 0..1, then
            subtracts `mean` and divides by `std`, channel by channel.
        low: see `rule`.
        high: see `rule`.
        mean: one value, or one per channel.
        std: likewise.

    Example:
        >>> from ultralightunet.models import Intensity
        >>> Intensity("window", low=-160, high=240, mean=(40.0,), std=(100.0,)).rule
        'window'
    """

    rule: Literal["percentile", "window", "scale"] = "percentile"
    low: float = 0.5
    high: float = 99.5
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Model:
    """A model folder's facts; `weights()` reads its parameters.

    Attributes:
        folder: where it lies.
        name: e.g. "brain".
        version: e.g. "1.0.0".
        title: one line for a person: what it segments.
        modality: e.g. "MR", "US", "endoscopy".
        architecture: of the network.
        classes: background first; their indices are 0, 1, 2, ...
        spacing: voxel size in mm (k, j, i) or (j, i) that images are resampled to, or None.
        size: pixels (j, i) that a whole 2D image is resized to where `spacing` is None, or None.
        window: voxels of one sliding window, (k, j, i) or (j, i), multiples of 32; an image that is no larger is
            seen whole.
        whole: the largest number of voxels (in millions) that is seen whole rather than through windows; normalisation by
            the image's own statistics wants whole images.
        box_is_image: whether a box is an image of its own, for models that learned from crops; otherwise the network sees what lies
            around a box, and labels in it are those that the whole image would get.
        intensity: how grey values are prepared.
        mirrored: axes of space, from 0 in the order of `window`, along which the network also sees the image mirrored; the logits are
            averaged.
        keep_largest: groups of classes of which only the largest connected island is kept.
        plausible_ml: the least and the most millilitres that a class has in a whole image, by its index; what lies beyond is warned about.
        licence: of the weights, an SPDX identifier or a short text.
        intended_use: who may use it for what, and what it must not be used for.
        scores: measured figures, e.g. {"Dice, Colin27": 0.95}.
        parent: NAME@VERSION that it was retrained from, or "".
        origin: how it was trained here, empty for a model that came from elsewhere: "created" (time in UTC), "cases" (a list of "case",
            "revision", "use", "image_sha256", "labels_sha256"), "decision" and what else is worth keeping; JSON-serialisable.
        sha256: of the weight file.
        metadata: the whole metadata.json.

    Example:
        >>> import ultralightunet as ulu
        >>> model = ulu.load_model("brain")
        >>> model.modality, model.spacing
        ('MR', (1.15, 1.15, 1.15))
        >>> [entry.name for entry in model.classes]
        ['background', 'brain', 'cerebrospinal fluid']
        >>> sum(values.size for values in model.weights().values())
        165309
    """

    folder: Path
    name: str
    version: str
    title: str
    modality: str
    architecture: Architecture
    classes: tuple[LabelClass, ...]
    spacing: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    window: tuple[int, ...] = ()
    whole: float = 0.0
    box_is_image: bool = False
    intensity: Intensity = field(default_factory=Intensity)
    mirrored: tuple[int, ...] = ()
    keep_largest: tuple[tuple[int, ...], ...] = ()
    plausible_ml: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    licence: str = ""
    intended_use: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sha256: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return self.architecture.spatial_dims

    @cached_property
    def _weights(self) -> dict[str, NDArray[Any]]:
        from .folder import read_weights

        return read_weights(self)

    def weights(self) -> dict[str, NDArray[Any]]:
        """The parameters by name, float16 as stored.

        Raises:
            ModelError: if the file is damaged, is not the one that the metadata describes, or does not fit the architecture.
        """
        return self._weights
