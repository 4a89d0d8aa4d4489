"""How well two label images agree, on their common grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .io.geometry import displacement
from .io.nifti_place import moved_onto
from .volume import Segmentation

Array = NDArray[Any]


@dataclass(frozen=True)
class Agreement:
    """One class of two label images.

    Attributes:
        label: the class.
        dice: twice the overlap over the sum of both, 1 where both are empty.
        hausdorff95: 95th percentile of the distances between the two surfaces, both ways together, in mm (in pixels without a
            known voxel size); None where just one is empty.
        surface_dice: share of both surfaces that lies within the tolerance of the other one (Nikolov et al. 2021,
            doi 10.2196/26151); 1 where both are empty.
        predicted: volume in ml, or voxels in 2D and without a known voxel size.
        reference: likewise.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import Segmentation
        >>> from ultralightunet.metrics import compare
        >>> labels = Segmentation(np.ones((2, 3, 4), np.uint8), np.eye(4))
        >>> compare(labels, labels)
        [Agreement(label=1, dice=1.0, hausdorff95=0.0, surface_dice=1.0, predicted=0.024, reference=0.024)]
    """

    label: int
    dice: float
    hausdorff95: float | None
    surface_dice: float
    predicted: float
    reference: float


def compare(prediction: Segmentation, reference: Segmentation, *, tolerance: float = 1.0) -> list[Agreement]:
    """Agreement on each class that occurs in either, background left out.

    Args:
        prediction: labels.
        reference: labels on the same grid.
        tolerance: of the surface Dice, in mm.

    Raises:
        InputError: if the grids differ.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import Segmentation
        >>> from ultralightunet.metrics import compare
        >>> reference, prediction = np.zeros((2, 10, 10, 10), np.uint8)
        >>> reference[2:8, 2:8, 2:8] = 1
        >>> prediction[3:8, 2:8, 2:8] = 1
        >>> found = compare(Segmentation(prediction, np.eye(4)), Segmentation(reference, np.eye(4)))[0]
        >>> round(found.dice, 3), found.hausdorff95, found.surface_dice
        (0.909, 1.0, 1.0)
    """
    if prediction.labels.shape != reference.labels.shape:
        raise InputError(
            f"expected two label images on one grid, found shapes {prediction.labels.shape} and {reference.labels.shape}; "
            "resample one of them onto the other first"
        )
    reference = moved_onto(reference, prediction)
    # A tenth of a voxel is what rounding in headers can do; a coarser fault is another grid, however small its voxels are.
    if displacement(prediction.affine, reference.affine, prediction.labels.shape) > 0.1 * min(reference.spacing):
        raise InputError(
            "expected two label images on one grid, found the same shape in different places; check which image each belongs to"
        )
    has_volume = prediction.has_spacing and prediction.labels.ndim == 3
    unit = abs(float(np.linalg.det(prediction.affine[:3, :3]))) / 1000 if has_volume else 1.0
    found = []
    for label in sorted({int(n) for n in (*np.unique(prediction.labels), *np.unique(reference.labels))} - {0}):
        a, b = prediction.labels == label, reference.labels == label
        distance, surface = surface_agreement(a, b, prediction.spacing, tolerance=tolerance)
        found.append(Agreement(label, dice(a, b), distance, surface, float(a.sum()) * unit, float(b.sum()) * unit))
    return found


def dice(a: Array, b: Array) -> float:
    """Twice the overlap of two masks over the sum of both; empty against empty is 1.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.metrics import dice
        >>> dice(np.array([True, True, False]), np.array([True, False, False]))
        0.6666666666666666
    """
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def surface_agreement(a: Array, b: Array, spacing: tuple[float, ...], *, tolerance: float) -> tuple[float | None, float]:
    """The 95 % Hausdorff distance and the surface Dice of two masks (*S).

    A mask's surface is made of its voxels that touch the outside through a face; distances run between voxel centres.

    Returns:
        Distance in mm (0 where both are empty, None where just one is) and surface Dice.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.metrics import surface_agreement
        >>> a, b = np.zeros((2, 5, 5), bool)
        >>> a[2, 1:4] = b[3, 1:4] = True
        >>> surface_agreement(a, b, (2.0, 1.0), tolerance=1.0)
        (2.0, 0.0)
    """
    if not a.any() and not b.any():
        return 0.0, 1.0
    if not a.any() or not b.any():
        return None, 0.0
    # Imported where it is needed: a fifth of a second that no other command is to wait for.
    import scipy.ndimage

    # Nothing outside the common bounding box plays a part.
    extent = scipy.ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = np.pad(a[extent], 1), np.pad(b[extent], 1)
    surface_a, surface_b = a & ~scipy.ndimage.binary_erosion(a), b & ~scipy.ndimage.binary_erosion(b)
    to_b = scipy.ndimage.distance_transform_edt(~surface_b, sampling=spacing)[surface_a]
    to_a = scipy.ndimage.distance_transform_edt(~surface_a, sampling=spacing)[surface_b]
    both = np.concatenate((to_a, to_b))
    return float(np.percentile(both, 95)), float((both <= tolerance).mean())
