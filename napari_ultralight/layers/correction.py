"""What is saved as a correction: the image, its labels and the prediction that they came from, out of napari's layers. Touches no Qt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Image

from ultralightunet.corrections import Checked, Summary, summarize
from ultralightunet.errors import InputError
from ultralightunet.models import LabelClass, Model
from ultralightunet.volume import Segmentation

from .conversion import Picture
from .facts import OPENED, classes_of
from .grid import KEY, Grid
from .packed import unpack
from .placing import world_matrix


@dataclass(frozen=True, eq=False)
class Correction:
    """A Labels layer and its image, taken while nobody changes either; cheap until it is asked for what it holds.

    Attributes:
        name: of the Labels layer.
        data: a copy of its labels.
        metadata: of the layer.
        picture: its image.
        classes: what the labels mean.
        model: NAME@VERSION that the prediction came from, or "".
    """

    name: str
    data: Any
    metadata: Mapping[str, Any]
    picture: Picture
    classes: tuple[LabelClass, ...]
    model: str

    @classmethod
    def of(cls, layer: Any, layers: Iterable[Any], *, preferred: Any = None, model: Model | None = None) -> Correction:
        """What a Labels layer holds now.

        Args:
            layer: a Labels layer.
            layers: of the viewer, among which is its image.
            preferred: the image layer to take where several fit.
            model: whose classes they are where the layer has none.

        Raises:
            InputError: if no image lies where the labels do, or nobody knows what the labels mean.
        """
        facts = layer.metadata.get(KEY, {})
        if OPENED in facts and "image_id" not in facts:
            raise InputError(f"expected to know which scan {layer.name!r} belongs to, found none chosen; choose it beside “Labels of”")
        image = image_of(layer, layers, preferred=preferred)
        if image is None:
            raise InputError(f"expected the image of {layer.name!r}, found none that lies where it does; open the image again")
        classes = classes_of(facts) or (model.classes if model else ())
        if not classes:
            raise InputError(f"expected to know what the labels of {layer.name!r} mean, found no model; choose a model")
        picture = Picture.of(image)
        index = tuple(facts.get("index", picture.index))
        picture = replace(picture, index=index if len(index) == len(picture.index) else picture.index)
        return cls(layer.name, np.array(layer.data), layer.metadata, picture, classes, facts.get("model", ""))

    def labels(self) -> Segmentation:
        """The correction, on the image's own grid.

        Raises:
            InputError: if the labels are no image, e.g. a time series.
        """
        grid = self.picture.grid
        array = self.data
        while array.ndim > len(grid.shape) and array.shape[0] == 1:
            array = array[0]
        own = Grid.from_metadata(self.metadata, array.shape) or grid
        if array.shape != own.shown_shape or own.shape != grid.shape:
            raise InputError(
                f"expected labels with the voxels of {self.picture.name!r}, {grid.shown_shape}, found {array.shape} in {self.name!r}; "
                "segment that image, or choose labels that were made on it"
            )
        array = np.ascontiguousarray(own.to_native(array))
        return Segmentation(array, grid.affine, self.classes, grid.has_spacing, grid.source, self.model)

    def prediction(self) -> Segmentation | None:
        """What the labels started from, None for those that a person drew or opened from a file."""
        packed = self.metadata.get(KEY, {}).get("prediction")
        if packed is None:
            return None
        grid = self.picture.grid
        return Segmentation(unpack(packed), grid.affine, self.classes, grid.has_spacing, model=self.model)

    def summary(self, checked: Checked) -> Summary:
        """What the correction changes.

        Raises:
            InputError: if the labels do not fit, or nothing was checked.
        """
        return summarize(self.labels(), self.prediction(), classes=self.classes, checked=checked)


def image_of(layer: Any, layers: Iterable[Any], *, preferred: Any = None) -> Any:
    """The image that a Labels layer belongs to, or None: the one that it was made from, else one that lies where it does."""
    images = [other for other in layers if isinstance(other, Image)]
    facts = layer.metadata.get(KEY, {})
    # A layer that was opened again is another one, of the same name.
    made_from = [image for image in images if facts.get("image_id") == str(image.unique_id)]
    fitting = [image for image in images if lies_on(layer, image)]
    by_name = [image for image in fitting if image.name == facts.get("image")]
    return next(iter([*made_from, *by_name, *(image for image in fitting if image is preferred), *fitting]), None)


def lies_on(layer: Any, image: Any) -> bool:
    """Whether a Labels layer has the voxels of an image layer."""
    try:
        grid = Picture.of(image).grid
    except InputError:
        return False
    own = Grid.from_metadata(layer.metadata, tuple(layer.data.shape))
    if own is not None:
        return own.shape == grid.shape and np.allclose(own.affine, grid.affine, atol=1e-4)
    dims = len(grid.shape)
    if tuple(layer.data.shape) != grid.shown_shape:
        return False
    own_matrix, matrix = (world_matrix(each)[-dims - 1 :, -dims - 1 :] for each in (layer, image))
    return bool(np.allclose(own_matrix, matrix, atol=1e-4))


def checked_slices(grid: Grid, slices: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """Slices across shown axes as slices across the file's, as `Checked` wants them."""
    found: dict[int, list[int]] = {}
    for shown, indices in slices.items():
        pairs = [grid.native_slice(shown, index) for index in indices]
        if pairs:
            found[pairs[0][0]] = sorted(index for _, index in pairs)
    return found


def asked_for(metadata: Mapping[str, Any], grid: Grid) -> Checked:
    """The part of the image that a model was asked to label, None for all of it: nobody has seen labels of the rest."""
    box, axis, number = _asked(metadata)
    if number is not None and box is None:
        return {axis: [number]}
    if box is None:
        return None
    mask = np.zeros(grid.shape, np.bool_)
    ranges = [slice(start, stop) for start, stop in box]
    if number is not None:
        ranges[axis] = slice(number, number + 1)
    mask[tuple(ranges)] = True
    return mask


def asked_in_words(metadata: Mapping[str, Any]) -> str:
    """What `asked_for` is: "box", "slice", or "" for all of the image."""
    box, _, number = _asked(metadata)
    return "slice" if number is not None else "box" if box is not None else ""


def _asked(metadata: Mapping[str, Any]) -> tuple[Any, int, int | None]:
    facts = metadata.get(KEY, {}).get("facts", {})
    axis, number = facts.get("axis"), facts.get("slice")
    return facts.get("box"), axis or 0, number if axis is not None else None
