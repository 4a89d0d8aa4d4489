"""What a correction changes, to be shown before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..io.geometry import displacement
from ..models import LabelClass
from ..volume import Affine, Segmentation, spacing_of
from .masks import Checked, checked_mask


@dataclass(frozen=True)
class ClassChange:
    """One class before and after the correction, over the whole image.

    Attributes:
        index: the label value.
        name: of the class.
        voxels_before: in the prediction, None where there is none.
        voxels_after: in the correction.
        ml_before: in millilitres, None without a prediction, in 2D and without a known voxel size.
        ml_after: likewise.
        dice: between prediction and correction where it was checked; None without a prediction or where both are empty.

    Example:
        >>> from ultralightunet.corrections import ClassChange
        >>> change = ClassChange(1, "liver", voxels_before=90, voxels_after=100, ml_before=0.09, ml_after=0.1, dice=0.95)
        >>> change.voxels_after - change.voxels_before
        10
    """

    index: int
    name: str
    voxels_before: int | None
    voxels_after: int
    ml_before: float | None
    ml_after: float | None
    dice: float | None


@dataclass(frozen=True)
class Summary:
    """What a correction changes.

    Attributes:
        voxels: of the image.
        voxels_checked: of them, how many a person has checked.
        voxels_changed: checked voxels whose label is another one than in the prediction; without one, checked voxels that have a label.
        dice: mean over the classes that occur in the prediction or the correction where it was checked; None without a prediction.
        classes: every class but the background.

    Example:
        >>> from ultralightunet.corrections import Summary
        >>> summary = Summary(voxels=1000, voxels_checked=500, voxels_changed=10, dice=0.95, classes=())
        >>> f"{summary.voxels_changed} of {summary.voxels_checked} checked voxels changed"
        '10 of 500 checked voxels changed'
    """

    voxels: int
    voxels_checked: int
    voxels_changed: int
    dice: float | None
    classes: tuple[ClassChange, ...]


def summarize(
    labels: Segmentation, prediction: Segmentation | None, *, classes: Sequence[LabelClass] = (), checked: Checked = None
) -> Summary:
    """Compare a correction with the prediction that it started from.

    Args:
        labels: the correction.
        prediction: on the same grid, or None.
        classes: what the labels mean; by default those of `labels`, else of `prediction`.
        checked: see `Checked`.

    Raises:
        InputError: if the two do not lie on one grid, hold a class that is not among `classes`, or `checked` does not fit.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import LabelClass, Segmentation
        >>> from ultralightunet.corrections import summarize
        >>> classes = (LabelClass(0, "background"), LabelClass(1, "liver"))
        >>> before = Segmentation(np.array([[[0, 1, 1, 0]]], np.uint8), np.eye(4), classes)
        >>> after = Segmentation(np.array([[[0, 1, 1, 1]]], np.uint8), np.eye(4), classes)
        >>> summary = summarize(after, before)
        >>> summary.voxels_changed, summary.dice, summary.classes[0].ml_after
        (1, 0.8, 0.003)
    """
    table = tuple(classes) or labels.classes or (prediction.classes if prediction else ())
    _check_labels(labels, table, "labels")
    if prediction is not None:
        _check_labels(prediction, table, "prediction")
        check_grid(prediction, labels.labels.shape, labels.affine, names=("prediction", "labels"))
    mask = checked_mask(checked, labels.labels.shape)
    inside, outside = _pairs(labels, prediction, table, mask)
    both = inside + outside
    voxel_ml = abs(float(np.linalg.det(labels.affine[:3, :3]))) / 1000 if labels.has_spacing and labels.labels.ndim == 3 else None
    changes = []
    for n, entry in enumerate(table):
        if entry.index == 0:
            continue
        before, after = (int(both[n].sum()) if prediction else None), int(both[:, n].sum())
        total = int(inside[n].sum() + inside[:, n].sum())
        changes.append(
            ClassChange(
                entry.index,
                entry.name,
                before,
                after,
                before * voxel_ml if voxel_ml and before is not None else None,
                after * voxel_ml if voxel_ml else None,
                2 * int(inside[n, n]) / total if prediction and total else None,
            )
        )
    scores = [change.dice for change in changes if change.dice is not None]
    mean = (sum(scores) / len(scores) if scores else 1.0) if prediction else None
    checked_voxels = int(inside.sum())
    return Summary(labels.labels.size, checked_voxels, checked_voxels - int(np.trace(inside)), mean, tuple(changes))


def check_grid(found: Segmentation, shape: tuple[int, ...], affine: Affine, *, names: tuple[str, str]) -> None:
    """Whether labels lie on the grid of a certain shape and affine.

    Args:
        found: the labels.
        shape: (k, j, i) or (j, i).
        affine: see `Volume`.
        names: of the labels, and of what they should fit.

    Raises:
        InputError: if they do not.
    """
    name, reference = names
    if found.labels.shape != shape:
        raise InputError(
            f"expected a {name} on the grid of the {reference}, {shape}, found shape {found.labels.shape}; "
            "give those that belong to this image"
        )
    # A tenth of a voxel is what rounding in headers can do.
    apart = displacement(found.affine, affine, shape)
    if apart > 0.1 * min(spacing_of(affine, len(shape))):
        raise InputError(
            f"expected a {name} in the place of the {reference}, found an affine that puts it up to {apart:.3g} mm away; "
            "give those that belong to this image, or save them with its geometry"
        )


def _check_labels(segmentation: Segmentation, classes: Sequence[LabelClass], name: str) -> None:
    found = segmentation.labels
    if found.dtype.kind not in "biu" or found.size == 0:
        raise InputError(f"expected whole numbers as {name}, found {found.dtype} of shape {found.shape}; give a label image")
    known = {entry.index for entry in classes}
    low, high = int(found.min()), int(found.max())
    unknown = next((v for v in (low, high) if not 0 <= v <= 65535), None)
    if unknown is None:
        present = np.flatnonzero(np.bincount(found.astype(np.uint16, copy=False).ravel()))
        unknown = next((int(v) for v in present if v and int(v) not in known), None)
    if unknown is not None:
        listed = ", ".join(f"{entry.index} {entry.name}" for entry in classes) or "none"
        raise InputError(
            f"expected {name} of the known classes ({listed}), found class {unknown}; relabel those voxels or add the class to the model"
        )


def _pairs(
    labels: Segmentation, prediction: Segmentation | None, classes: Sequence[LabelClass], mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """How many voxels go from each class (row) to each (column): where it was checked, and elsewhere.

    Slab by slab, because numpy counts in 64-bit integers, eight times what labels take.
    """
    count = len(classes)
    number = np.zeros(max((entry.index for entry in classes), default=0) + 1, np.int64)
    for n, entry in enumerate(classes):
        number[entry.index] = n
    sums = np.zeros(2 * count * count, np.int64)
    for k, after in enumerate(labels.labels):
        pair = number[after.astype(np.uint16, copy=False)]
        if prediction is not None:
            pair = pair + count * number[prediction.labels[k].astype(np.uint16, copy=False)]
        if mask is not None:
            pair = pair + count * count * ~mask[k]
        sums += np.bincount(pair.ravel(), minlength=sums.size)
    inside, outside = sums.reshape(2, count, count)
    return inside, outside
