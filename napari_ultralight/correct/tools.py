"""The tools for correcting labels, each one step for napari's undo."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultralightunet import editing
from ultralightunet.errors import InputError

from ..layers.grid import KEY
from ..layers.packed import unpack
from ..layers.target import Change, Target


def fill_between(target: Target, *, axis: int) -> Change:
    """See `editing.fill_between`; `axis` is a shown one.

    A class that the user chose is drawn over others, as the brush does, unless napari is told to preserve labels.
    """
    over = target.classes is not None and not target.layer.preserve_labels
    return partial(editing.fill_between, axis=axis, spacing=target.grid.shown_spacing, over=over)


def remove_small(target: Target, *, smallest_ml: float) -> Change:
    """See `editing.remove_small`; of a 2D image the size is in cm2, without a voxel size in thousands of voxels."""
    factor = 1000 if len(target.grid.shape) == 3 or not target.grid.has_spacing else 100
    return partial(editing.removing_small, smallest=smallest_ml * factor, spacing=target.grid.shown_spacing)


def smooth(target: Target, *, radius: float) -> Change:
    """See `editing.smooth`."""
    return partial(editing.smoothing, radius=radius, spacing=target.grid.shown_spacing)


def back_to_prediction(target: Target) -> Change:
    """What the model made, wherever the chosen classes are or were.

    Raises:
        InputError: if the labels did not come from a model.
    """
    packed = target.layer.metadata.get(KEY, {}).get("prediction")
    if packed is None:
        raise InputError(f"expected labels that a model made, found others in {target.layer.name!r}; use Ctrl+Z instead")

    def change(labels: NDArray[Any], classes: Collection[int]) -> NDArray[Any]:
        predicted = target.grid.to_shown(unpack(packed)).astype(labels.dtype)
        if target.classes is None:
            return predicted
        concerned = np.isin(labels, list(classes)) | np.isin(predicted, list(classes))
        return np.where(concerned, predicted, labels)

    return change
