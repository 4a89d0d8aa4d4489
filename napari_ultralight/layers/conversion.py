"""Between napari's layers and the core's volumes. Touches no Qt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ultralightunet.errors import InputError
from ultralightunet.volume import Segmentation, Volume

from .derived import derived_grid, has_facts
from .facts import SAVED, class_colors, classes_of
from .grid import KEY, Grid, LayerData
from .packed import digest, pack
from .placing import covered_grid, foreign_grid, grid_of, matrix_of_attributes, placement_of, position

_UNNAMED = re.compile(r"(axis )?-?\d*")
"""How napari calls axes that nobody named."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What is to be segmented of an image layer, taken while nobody changes the layer; cheap until `volume` is called.

    Attributes:
        name: of the layer.
        data: the layer's array at full resolution; it may be computed only when read (dask).
        index: of the axes before the image's own, such as the time point; () for most images.
        rgb: whether the last axis holds colours.
        grid: the image's voxels.
        placement: napari's arguments that put labels where the image is.
        layer_id: of the layer, which may be renamed.
        leading: names of the axes that `index` counts along.
    """

    name: str
    data: Any
    index: tuple[int, ...]
    rgb: bool
    grid: Grid
    placement: Mapping[str, Any]
    layer_id: str = ""
    leading: tuple[str, ...] = ()

    @property
    def name_with_index(self) -> str:
        """The layer's name, and which of its images is meant where it has several: "scan t=3"."""
        return " ".join((self.name, *(f"{axis}={number}" for axis, number in zip(self.leading, self.index, strict=True))))

    @classmethod
    def of(cls, layer: Any, point: Sequence[float] = (), units: Sequence[Any] | None = None) -> Picture:
        """What is shown of `layer` where the viewer's sliders stand.

        Args:
            layer: a napari Image layer, from any reader.
            point: the sliders in world coordinates, `viewer.dims.point`.
            units: of `point`, `viewer.dims.units`.

        Raises:
            InputError: for a layer that is no image.
        """
        data = layer.data[0] if layer.multiscale else layer.data
        if layer.ndim < 2:
            raise InputError(f"expected an image layer with two or three axes, found {layer.ndim} in {layer.name}; choose another layer")
        shape = tuple(int(n) for n in data.shape[: layer.ndim])
        grid = grid_of(layer)
        dims = len(grid.shape)
        at = position(layer, point, units)
        index = tuple(int(np.clip(round(at[axis]), 0, shape[axis] - 1)) for axis in range(layer.ndim - dims))
        # Axes that nobody named: what lies over a picture are slices, over a volume time points.
        unnamed = "z" if dims == 2 else "t"
        leading = tuple(unnamed if _UNNAMED.fullmatch(name) else name for name in layer.axis_labels[: len(index)])
        return cls(layer.name, data, index, layer.rgb, grid, placement_of(layer, index), str(layer.unique_id), leading)

    def volume(self) -> Volume:
        """The image on its own grid; reads or computes what is not in memory yet, so keep it off the GUI's thread."""
        shown = np.asarray(self.data[self.index])
        channels = 1
        if self.rgb:
            # The fourth is napari's opacity, not part of the picture.
            shown, channels = shown[..., :3], 3
        return Volume(self.grid.to_native(shown), self.grid.affine, channels, self.grid.has_spacing, self.grid.source)

    def lazy_volume(self) -> Volume:
        """As `volume`, but an array that is computed when it is read stays one: only what is looked at of the result is read."""
        data = self.data
        if not hasattr(data, "transpose"):
            # Such as an array in a file (zarr, HDF5), which would be read whole to be turned.
            import dask.array

            data = dask.array.from_array(data)
        shown, channels = data[self.index], 1
        if self.rgb:
            shown, channels = shown[..., :3], 3
        return Volume(self.grid.to_native(shown), self.grid.affine, channels, self.grid.has_spacing, self.grid.source)

    def labels_layer(self, segmentation: Segmentation, *, name: str) -> LayerData:
        """A Labels layer that lies on the image, and remembers what was predicted."""
        shown = self.grid.to_shown(segmentation.labels)
        # Axes of length one put the labels of a time point at that time, not over the whole series.
        data = np.array(shown[(np.newaxis,) * len(self.index)], order="C")
        facts = {
            **self.grid.to_metadata(),
            "classes": [asdict(c) for c in segmentation.classes],
            "model": segmentation.model,
            "facts": dict(segmentation.facts),
            "image": self.name,
            "image_id": self.layer_id,
            "index": list(self.index),
            "prediction": pack(segmentation.labels),
            SAVED: digest(data),
        }
        arguments = {
            **self.placement,
            "name": name,
            "metadata": {KEY: facts},
            "features": {"index": [c.index for c in segmentation.classes], "class": [c.name for c in segmentation.classes]},
            "colormap": class_colors(segmentation.classes),
            "opacity": 0.6,
        }
        return data, arguments, "labels"


def segmentation_of(data: Any, attributes: Mapping[str, Any], others: Iterable[Any] = ()) -> Segmentation:
    """What a Labels layer holds, on the image's own grid.

    Args:
        data: of the layer.
        attributes: of the layer by napari's names: "metadata", "scale", "translate", ...
        others: layers of the viewer; labels that a user drew from nothing lie on the grid of the image that they cover.

    Raises:
        InputError: if the layer has no voxel grid.
    """
    array = np.asarray(data)
    while array.ndim > 2 and array.shape[0] == 1 and KEY in attributes.get("metadata", {}):
        if array.ndim == len(attributes["metadata"][KEY].get("shape", array.shape)):
            break
        array = array[0]
    metadata = attributes.get("metadata", {})
    grid = Grid.from_metadata(metadata, array.shape) or covered_grid(array.shape, attributes, others)
    if grid is None and has_facts(metadata):
        matrix = matrix_of_attributes(attributes, np.asarray(data).ndim)[-array.ndim - 1 :, -array.ndim - 1 :]
        grid = derived_grid(attributes.get("name", "the layer"), metadata[KEY], array, matrix)
    if grid is None:
        dims = min(array.ndim, 3)
        grid = foreign_grid(
            array.shape[-dims:], matrix_of_attributes(attributes, array.ndim)[-dims - 1 :, -dims - 1 :], attributes.get("units")
        )
    if array.ndim != len(grid.shape):
        raise InputError(f"expected labels of {len(grid.shape)} axes, found {array.ndim}; save the labels of one time point")
    facts = metadata.get(KEY, {})
    return Segmentation(
        np.ascontiguousarray(grid.to_native(array)),
        grid.affine,
        classes_of(facts),
        grid.has_spacing,
        grid.source,
        facts.get("model", ""),
        facts.get("facts", {}),
    )


def attributes_of(layer: Any) -> dict[str, Any]:
    """What `segmentation_of` needs to know of a layer beside its data."""
    return {
        "name": layer.name,
        "metadata": layer.metadata,
        "scale": layer.scale,
        "translate": layer.translate,
        "units": layer.units,
        "affine": layer.affine.affine_matrix,
    }
