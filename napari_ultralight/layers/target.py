"""The labels that a tool or a prompt changes, in one step for napari's undo."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultralightunet import editing
from ultralightunet.editing import Edit
from ultralightunet.errors import InputError
from ultralightunet.events import Progress

from .grid import Grid
from .packed import Packed
from .placing import grid_of, position

Change = Callable[[NDArray[Any], Collection[int]], NDArray[Any] | editing.Steps]
"""Labels as they are shown, and the classes to work on: to new labels, or the steps towards them."""


@dataclass(frozen=True, eq=False)
class Step:
    """What a tool or a prompt does, and what napari keeps of it for undo and redo, which is small."""

    edit: Edit
    before: Packed
    after: Packed

    @classmethod
    def of(cls, edit: Edit) -> Step:
        """Packed; belongs off the GUI's thread where much changes."""
        return cls(edit, Packed(edit.before), Packed(edit.after))


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

    def working(self, name: str, change: Change) -> Generator[Progress, None, Step]:
        """Run a tool on the copy; belongs off the GUI's thread. Closing it cancels once the tool looks up."""
        yield Progress(name, 0, 1)
        classes = self.classes
        if classes is None:
            classes = tuple(int(label) for label in np.unique(self.labels) if label)
        found = change(self.labels, classes)
        after = (yield from found) if isinstance(found, Generator) else found
        return Step.of(editing.difference(self.labels, after))

    def apply(self, step: Step) -> int:
        """Change the layer in one step that Ctrl+Z takes back; what was painted meanwhile stays.

        Returns:
            How many voxels changed.
        """
        shown = np.asarray(self.layer.data[self.index])
        if shown.shape != self.labels.shape:
            raise InputError(f"expected {self.layer.name!r} as it was, found other voxels; use the tool again")
        edit = step.edit.still_fitting(shown)
        if edit is not step.edit:
            step = Step.of(edit)
        if len(edit):
            box = (*self.index, *edit.box)
            self.layer.data[box] = edit.after
            # As `data_setitem` does it, which knows nothing but the index of every voxel: 330 MB for one head.
            self.layer._save_history((box, step.before, step.after))
            self.layer.refresh()
        return len(edit)
