"""The tools for correcting labels, each one step for napari's undo."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultralightunet import editing
from ultralightunet.editing import Edit
from ultralightunet.errors import InputError
from ultralightunet.events import Progress

from ..layers.conversion import grid_of, position
from ..layers.grid import KEY, Grid
from ..layers.packed import unpack

Change = Callable[[NDArray[Any], Collection[int]], NDArray[Any]]
"""Labels as they are shown, and the classes to work on: to new labels."""


@dataclass(frozen=True, eq=False)
class Target:
    """The labels that a tool works on, taken while nobody changes the layer.

    Attributes:
        layer: a Labels layer.
        grid: its voxels.
        index: of the time point, () for most labels.
        labels: a copy, along the shown axes.
        classes: which, None for all that there are.
    """

    layer: Any
    grid: Grid
    index: tuple[int, ...]
    labels: NDArray[Any]
    classes: tuple[int, ...] | None

    @classmethod
    def of(cls, layer: Any, viewer: Any, *, classes: tuple[int, ...] | None) -> Target:
        """The labels of a layer where the viewer's sliders stand.

        Raises:
            InputError: for labels that cannot be changed.
        """
        if layer.multiscale:
            raise InputError(f"expected labels of one resolution, found several in {layer.name!r}; napari can only show these")
        grid = grid_of(layer)
        at = position(layer, viewer.dims.point, viewer.dims.units)
        leading = layer.data.ndim - len(grid.shape)
        index = tuple(int(np.clip(round(at[n]), 0, layer.data.shape[n] - 1)) for n in range(leading))
        return cls(layer, grid, index, np.array(layer.data[index]), classes)

    def working(self, name: str, change: Change) -> Generator[Progress, None, Edit]:
        """Run a tool on the copy; belongs off the GUI's thread."""
        yield Progress(name, 0, 1)
        classes = self.classes
        if classes is None:
            classes = tuple(int(label) for label in np.unique(self.labels) if label)
        return editing.difference(self.labels, change(self.labels, classes))

    def apply(self, edit: Edit) -> int:
        """Change the layer in one step that Ctrl+Z takes back; what was painted meanwhile stays.

        Returns:
            How many voxels changed.
        """
        shown = np.asarray(self.layer.data[self.index])
        if shown.shape != self.labels.shape:
            raise InputError(f"expected {self.layer.name!r} as it was, found other voxels; use the tool again")
        edit = edit.still_fitting(shown)
        if len(edit):
            leading = tuple(np.full(len(edit), n, np.int64) for n in self.index)
            self.layer.data_setitem((*leading, *edit.where), edit.after)
        return len(edit)


def fill_between(target: Target, *, axis: int) -> Change:
    """See `editing.fill_between`; `axis` is a shown one.

    A class that the user chose is drawn over others, as the brush does, unless napari is told to preserve labels.
    """
    over = target.classes is not None and not target.layer.preserve_labels
    return partial(editing.fill_between, axis=axis, spacing=target.grid.shown_spacing, over=over)


def remove_small(target: Target, *, smallest_ml: float) -> Change:
    """See `editing.remove_small`; of a 2D image the size is in cm2, without a voxel size in thousands of voxels."""
    factor = 1000 if len(target.grid.shape) == 3 or not target.grid.has_spacing else 100
    return partial(editing.remove_small, smallest=smallest_ml * factor, spacing=target.grid.shown_spacing)


def smooth(target: Target, *, radius: float) -> Change:
    """See `editing.smooth`."""
    return partial(editing.smooth, radius=radius, spacing=target.grid.shown_spacing)


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
