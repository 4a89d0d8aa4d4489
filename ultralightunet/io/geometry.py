"""Between the affines used here (RAS+) and what ITK and DICOM say (LPS+), and how far apart two affines are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..errors import OutputError
from ..volume import Affine


def ras_from_lps(affine: Affine) -> Affine:
    """The same placement with the first two world axes pointing the other way; its own inverse."""
    return np.asarray(np.diag((-1.0, -1.0, 1.0, 1.0)) @ affine, dtype=np.float64)


def itk_from_affine(affine: Affine, dims: int) -> tuple[list[float], list[float], list[float]]:
    """How ITK's formats say the same.

    Returns:
        LPS mm of the first voxel, `dims` numbers; mm along i, j (and k); the row-major matrix whose columns are the axes i, j (and k).

    Raises:
        OutputError: if the axes are not at right angles: ITK's direction matrix cannot say so.
    """
    lps = ras_from_lps(affine)
    axes = lps[:dims, :dims]
    spacing = np.sqrt((axes**2).sum(0))
    direction = axes / spacing
    if np.abs(direction.T @ direction - np.eye(dims)).max() > 1e-4:
        raise OutputError(
            "expected axes at right angles, found a sheared image (a tilted gantry?), which NRRD and MetaImage cannot hold; write .nii.gz"
        )
    # Adding zero turns -0.0 into 0.0.
    return (lps[:dims, 3] + 0.0).tolist(), spacing.tolist(), (direction + 0.0).ravel().tolist()


def lies_flat(affine: Affine) -> bool:
    """Whether a 2D image with this affine lies in the plane z = 0, so that a 2D file says all about where it is."""
    return not affine[2, [0, 1, 3]].any() and not affine[:2, 2].any()


def is_size_only(affine: Affine) -> bool:
    """Whether a voxel size says all that `affine` does."""
    return np.array_equal(affine, np.diag(np.abs(np.diag(affine))))


def displacement(first: Affine, second: Affine, shape: Sequence[int]) -> float:
    """Largest distance in mm between where two affines place a corner voxel of an image of `shape`, (k, j, i) or (j, i)."""
    ends = [(0, size - 1) for size in reversed(shape)]
    corners = np.array([(*corner, 0, 0)[:3] + (1,) for corner in product(*ends)], dtype=np.float64)
    difference: Affine = (corners @ (first - second).T)[:, :3]
    return float(np.sqrt((difference**2).sum(1)).max())


def agrees(expected: Affine, found: Affine, shape: Sequence[int]) -> bool:
    """Whether every voxel lies where it should: to 1e-4 of a voxel, and what single precision leaves of large coordinates."""
    spacing = np.sqrt((expected[:3, :3] ** 2).sum(0)).min()
    reach = np.abs(expected[:3, 3]).max() + displacement(expected, np.zeros((4, 4)), shape)
    return bool(displacement(expected, found, shape) <= 1e-4 * spacing + 1e-6 * reach)
