"""Between napari's layers and the core's volumes. Touches no Qt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from napari.experimental import unlink_layers
from napari.layers import Labels
from numpy.typing import NDArray

from ultralightunet.errors import InputError
from ultralightunet.models import LabelClass
from ultralightunet.volume import Affine, Segmentation, Volume

from .derived import derived_grid, has_facts, refuse_if_turned
from .grid import KEY, Grid, LayerData
from .packed import digest, pack

SAVED = "saved"
"""In a layer's facts: the digest of the labels as they were when they were predicted or last saved."""

OPENED = "opened"
"""In a layer's facts: that the labels came from a file, so that only the user knows which scan they belong to."""

_UNNAMED = re.compile(r"(axis )?-?\d*")
"""How napari calls axes that nobody named."""

OTHER_COLOR = (0.6, 0.6, 0.6, 1.0)
"""Of labels that the model does not know, such as those that a user adds."""


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
        return cls(layer.name, data, index, layer.rgb, grid, _placement(layer, index), str(layer.unique_id), leading)

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
    grid = Grid.from_metadata(metadata, array.shape) or _covered_grid(array.shape, attributes, others)
    if grid is None and has_facts(metadata):
        matrix = _matrix_of_attributes(attributes, np.asarray(data).ndim)[-array.ndim - 1 :, -array.ndim - 1 :]
        grid = derived_grid(attributes.get("name", "the layer"), metadata[KEY], array, matrix)
    if grid is None:
        dims = min(array.ndim, 3)
        grid = foreign_grid(
            array.shape[-dims:], _matrix_of_attributes(attributes, array.ndim)[-dims - 1 :, -dims - 1 :], attributes.get("units")
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


def classes_of(facts: Mapping[str, Any]) -> tuple[LabelClass, ...]:
    """The classes in the facts of a Labels layer that this plugin made."""
    return tuple(LabelClass(c["index"], c["name"], tuple(c["color"]), c["snomed"]) for c in facts.get("classes", ()))


def with_classes(facts: Mapping[str, Any], classes: Sequence[LabelClass]) -> dict[str, Any]:
    """The facts of a Labels layer, with other classes."""
    return {**facts, "classes": [asdict(c) for c in classes]}


def note_saved(layer: Any, digest_of_labels: str) -> None:
    """Note in a Labels layer that the labels with a certain digest are safe."""
    set_facts(layer, {**layer.metadata.get(KEY, {}), SAVED: digest_of_labels})


def show_classes(layer: Any, classes: Sequence[LabelClass]) -> None:
    """Let a Labels layer have these classes, in their colours."""
    set_facts(layer, with_classes(layer.metadata.get(KEY, {}), classes))
    layer.colormap = class_colors(classes)
    layer.features = {"index": [c.index for c in classes], "class": [c.name for c in classes]}


def set_facts(layer: Any, facts: Mapping[str, Any]) -> None:
    """Give a layer other facts, and no other one: layers that are linked share their metadata and colours, which an image cannot have."""
    unlink_layers([layer], ["metadata", "features", "colormap"])
    layer.metadata = {**layer.metadata, KEY: dict(facts)}


def class_colors(classes: Iterable[LabelClass]) -> dict[int | None, tuple[float, ...]]:
    """Colours by label for napari's direct colour map; None stands for every other label."""
    colors: dict[int | None, tuple[float, ...]] = {None: OTHER_COLOR, 0: (0.0, 0.0, 0.0, 0.0)}
    for c in classes:
        if c.index:
            colors[c.index] = (*(value / 255 for value in c.color), 1.0)
    return colors


def grid_of(layer: Any) -> Grid:
    """The voxels of an Image or Labels layer, those of one time point if it has several.

    Raises:
        InputError: if the layer's transform is singular, or the layer was derived from one of ours so that nobody knows where it lies.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    shape = tuple(int(n) for n in data.shape[: layer.ndim])
    grid = Grid.from_metadata(layer.metadata, shape)
    if has_facts(layer.metadata):
        facts = layer.metadata[KEY]
        channel = data[..., 0] if getattr(layer, "rgb", False) else data
        dims = min(len(facts["shape"]), layer.ndim)
        shown = channel[(0,) * (layer.ndim - dims)]
        if grid is None:
            return derived_grid(layer.name, facts, shown, world_matrix(layer)[-dims - 1 :, -dims - 1 :])
        refuse_if_turned(layer.name, facts, shown)
        return grid
    dims = 2 if getattr(layer, "rgb", False) or layer.ndim == 2 else 3
    return foreign_grid(shape[-dims:], world_matrix(layer)[-dims - 1 :, -dims - 1 :], layer.units[-dims:])


def known_grid_of(layer: Any) -> Grid | None:
    """As `grid_of`, None for no layer and for one that cannot be placed: that is told when it is used, not while it is chosen."""
    try:
        return None if layer is None else grid_of(layer)
    except InputError:
        return None


def foreign_grid(shape: tuple[int, ...], matrix: NDArray[np.float64], units: Sequence[Any] | None) -> Grid:
    """The grid of a layer that another plugin made, from its transform to napari's world.

    Args:
        shape: (k, j, i) or (j, i).
        matrix: index (k, j, i, 1) to napari's world (z, y, x, 1), or (j, i, 1) to (y, x, 1).
        units: of the world's axes; lengths become millimetres, anything else counts as millimetres.
    """
    dims = len(shape)
    scaled = matrix.copy()
    lengths = _millimetres(units, dims)
    scaled[:dims] *= np.array([length or 1.0 for length in lengths])[:, np.newaxis]
    # Axes of the world and of the array are listed z, y, x; the core's affine wants x, y, z on both sides.
    affine: Affine = np.eye(4)
    affine[:dims, :dims] = scaled[:dims, :dims][::-1, ::-1]
    affine[:dims, 3] = scaled[:dims, dims][::-1]
    is_plain = np.allclose(np.abs(matrix[:dims, :dims]), np.eye(dims))
    return Grid.as_is(shape, affine, has_spacing=any(lengths) or not is_plain)


def position(layer: Any, point: Sequence[float], units: Sequence[Any] | None = None) -> NDArray[np.float64]:
    """Voxel index in `layer` (all its axes) of a point of napari's world."""
    world = np.zeros(layer.ndim)
    n = min(len(point), layer.ndim)
    if n:
        world[-n:] = point[-n:]
        factors = [_factor(a, b) for a, b in zip(units[-n:], layer.units[-n:], strict=True)] if units else [1.0] * n
        world[-n:] *= factors
    return np.asarray(layer.world_to_data(world), dtype=np.float64)


def _factor(unit: Any, wanted: Any) -> float:
    return float((1 * unit).to(wanted).magnitude) if unit.is_compatible_with(wanted) else 1.0


def _millimetres(units: Sequence[Any] | None, dims: int) -> list[float | None]:
    """Millimetres in one unit of each axis, None where it is no unit of length."""
    if units is None:
        return [None] * dims
    return [float((1 * unit).to("mm").magnitude) if unit.is_compatible_with("mm") else None for unit in units[-dims:]]


def world_matrix(layer: Any) -> NDArray[np.float64]:
    """Affine of the layer: index to napari's world, both along all its axes."""
    n = layer.ndim
    matrix = np.eye(n + 1)
    origin = np.asarray(layer.data_to_world(np.zeros(n)), dtype=np.float64)
    for axis in range(n):
        step = np.zeros(n)
        step[axis] = 1
        matrix[:n, axis] = np.asarray(layer.data_to_world(step)) - origin
    matrix[:n, n] = origin
    return matrix


def _matrix_of_attributes(attributes: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
    """As `world_matrix`, from the attributes that a writer is given."""
    known = {key: attributes[key] for key in ("scale", "translate", "rotate", "shear", "affine") if attributes.get(key) is not None}
    return world_matrix(Labels(np.zeros((1,) * ndim, np.uint8), **known))


def _placement(layer: Any, index: tuple[int, ...]) -> dict[str, Any]:
    n = layer.ndim
    matrix = world_matrix(layer)
    matrix[:n, n] += matrix[:n, : len(index)] @ np.array(index, dtype=np.float64)
    diagonal = np.diag(matrix)[:n]
    placement: dict[str, Any] = {"units": layer.units, "axis_labels": layer.axis_labels}
    if np.allclose(matrix[:n, :n], np.diag(diagonal), atol=1e-9) and (diagonal > 0).all():
        return {**placement, "scale": diagonal, "translate": matrix[:n, n]}
    # napari's brush takes voxels to be as large as the scale says, whatever the affine does.
    sizes = np.sqrt((matrix[:n, :n] ** 2).sum(0))
    matrix[:n, :n] /= sizes
    return {**placement, "scale": sizes, "affine": matrix}


def _covered_grid(shape: tuple[int, ...], attributes: Mapping[str, Any], others: Iterable[Any]) -> Grid | None:
    """The grid of an image that our reader opened and that has the labels' voxels."""
    matrix = _matrix_of_attributes(attributes, len(shape))
    for layer in others:
        if KEY not in layer.metadata or tuple(layer.data.shape[: layer.ndim])[-len(shape) :] != shape:
            continue
        if np.allclose(world_matrix(layer)[-len(shape) - 1 :, -len(shape) - 1 :], matrix, atol=1e-4):
            return Grid.from_metadata(layer.metadata, shape)
    return None
