"""napari's brush in millimetres, and round in 3D whatever the voxels are like. Free of Qt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.placing import known_grid_of, world_matrix


def brush_mm(layer: Any, dims: Any) -> float:
    """Diameter of a layer's brush in mm (in voxels where their size is not known); `dims` are the viewer's."""
    return (2 * (int(layer.brush_size) // 2) + 1) * _smallest_voxel(layer, dims)


def set_brush(layer: Any, dims: Any, *, mm: float, in_3d: bool) -> None:
    """Give a layer a brush of about `mm` across, as near as an odd number of its smallest voxels comes."""
    _let_the_brush_see_voxels(layer)
    layer.n_edit_dimensions = min(layer.ndim, 3) if in_3d else 2
    layer.brush_size = max(1, 2 * round((mm / _smallest_voxel(layer, dims) - 1) / 2) + 1)


def _smallest_voxel(layer: Any, dims: Any) -> float:
    """Edge in mm of the voxels that napari counts a brush in: the smallest along the axes that are painted."""
    grid = known_grid_of(layer)
    spacing = grid.shown_spacing if grid is not None else tuple(np.linalg.norm(world_matrix(layer)[:-1, :-1], axis=0))
    painted = [axis - (dims.ndim - len(spacing)) for axis in dims.order[-layer.n_edit_dimensions :]]
    return min([spacing[axis] for axis in painted if axis >= 0] or spacing)


def _let_the_brush_see_voxels(layer: Any) -> None:
    """napari's brush goes by a layer's scale only: take voxel sizes that stand in its affine over there; it stays where it is."""
    if np.allclose(layer.affine.affine_matrix, np.eye(layer.ndim + 1)):
        return
    matrix = world_matrix(layer)
    n = layer.ndim
    sizes = np.sqrt((matrix[:n, :n] ** 2).sum(0))
    if np.allclose(sizes, layer.scale):
        return
    matrix[:n, :n] /= sizes
    layer.affine, layer.scale, layer.translate, layer.rotate, layer.shear = (
        matrix,
        sizes,
        np.zeros(n),
        np.eye(n),
        np.zeros(n * (n - 1) // 2),
    )
