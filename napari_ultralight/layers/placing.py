"""Where a layer's voxels lie, and where napari shows them. Touches no Qt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from ultralightunet.errors import InputError
from ultralightunet.volume import Affine

from .derived import derived_grid, has_facts, refuse_if_turned
from .grid import KEY, Grid


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


def matrix_of_attributes(attributes: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
    """As `world_matrix`, from the attributes that a writer is given."""
    known = {key: attributes[key] for key in ("scale", "translate", "rotate", "shear", "affine") if attributes.get(key) is not None}
    return world_matrix(Labels(np.zeros((1,) * ndim, np.uint8), **known))


def placement_of(layer: Any, index: tuple[int, ...]) -> dict[str, Any]:
    """napari's arguments that put labels where an image layer, or one of its images by `index`, is."""
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


def covered_grid(shape: tuple[int, ...], attributes: Mapping[str, Any], others: Iterable[Any]) -> Grid | None:
    """The grid of an image that our reader opened and that has the labels' voxels."""
    matrix = matrix_of_attributes(attributes, len(shape))
    for layer in others:
        if KEY not in layer.metadata or tuple(layer.data.shape[: layer.ndim])[-len(shape) :] != shape:
            continue
        if np.allclose(world_matrix(layer)[-len(shape) - 1 :, -len(shape) - 1 :], matrix, atol=1e-4):
            return Grid.from_metadata(layer.metadata, shape)
    return None
