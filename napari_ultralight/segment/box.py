"""The layer in which a box is drawn. What was chosen stays with it: other views, other images and a new dock find it as it was."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from ..layers.grid import KEY, Grid
from ..layers.placing import position

NAME = "Box to segment"

_CLICK = 4
"""Pixels of the screen: a rectangle that was dragged no further is a click."""


class BoxDrawing(QObject):
    """Finds and makes a shapes layer for each image, and remembers how far its boxes reach across slices.

    Signals: `changed()` when a rectangle was drawn, moved or removed.
    """

    changed = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._followed: list[Any] = []
        self._before_drawing: WeakKeyDictionary[Any, dict[int, tuple[int, int]]] = WeakKeyDictionary()

    def draw(self, image: Any, placement: Mapping[str, Any]) -> None:
        """Let the user draw a rectangle on an image, on the slice in view."""
        shapes = self.layer_for(image)
        if shapes is None:
            shapes = self._viewer.add_shapes(
                name=NAME,
                ndim=image.ndim,
                edge_color="#ffd54f",
                face_color="#ffd54f22",
                edge_width=1,
                metadata={KEY: {"box_of": str(image.unique_id), "slices": dict(self._before_drawing.get(image, {}))}},
                **placement,
            )
            self._follow(shapes)
        self._viewer.layers.selection.active = shapes
        shapes.mode = "add_rectangle"

    def has_box(self, image: Any) -> bool:
        """Whether a rectangle was drawn on an image."""
        shapes = self.layer_for(image)
        return shapes is not None and len(shapes.data) > 0

    def corners(self, image: Any, grid: Grid) -> NDArray[np.float64] | None:
        """Corners (4, axes of the image's grid) of the latest rectangle on an image, in its voxels; None if there is none."""
        shapes = self.layer_for(image)
        if shapes is None or not len(shapes.data):
            return None
        dims = len(grid.shape)
        return np.array([position(image, shapes.data_to_world(corner), shapes.units)[-dims:] for corner in shapes.data[-1]])

    def slices(self, image: Any, axis: int) -> tuple[int, int] | None:
        """The first and the last slice across a shown axis that were chosen for an image."""
        shapes = self.layer_for(image)
        found = (self._before_drawing.get(image, {}) if shapes is None else shapes.metadata[KEY]["slices"]).get(axis)
        return None if found is None else (int(found[0]), int(found[1]))

    def keep_slices(self, image: Any, axis: int, slices: tuple[int, int]) -> None:
        """Remember the first and the last slice across a shown axis."""
        shapes = self.layer_for(image)
        if shapes is None:
            self._before_drawing.setdefault(image, {})[axis] = slices
        else:
            facts = shapes.metadata[KEY]
            shapes.metadata = {**shapes.metadata, KEY: {**facts, "slices": {**facts["slices"], axis: slices}}}

    def close_down(self) -> None:
        """Let go of the viewer, whose layers outlive this."""
        for shapes in self._followed:
            shapes.events.data.disconnect(self._tell)
            shapes.events.set_data.disconnect(self._tell)
            if _forget_clicks in shapes.mouse_drag_callbacks:
                shapes.mouse_drag_callbacks.remove(_forget_clicks)
        self._followed.clear()

    def layer_for(self, image: Any) -> Any:
        """The latest layer for boxes on an image, or None."""
        if image is None:
            return None
        found = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Shapes) and layer.metadata.get(KEY, {}).get("box_of") == str(image.unique_id)
        ]
        if found:
            self._follow(found[-1])
        return found[-1] if found else None

    def _follow(self, shapes: Any) -> None:
        if shapes not in self._followed:
            self._followed.append(shapes)
            shapes.events.data.connect(self._tell)
            shapes.events.set_data.connect(self._tell)
            if _forget_clicks not in shapes.mouse_drag_callbacks:
                shapes.mouse_drag_callbacks.append(_forget_clicks)

    def _tell(self, event: Any = None) -> None:
        self.changed.emit()


def _forget_clicks(shapes: Any, event: Any) -> Generator[None, None, None]:
    """Take away the rectangle that napari makes of one click: nobody means a box of a pixel or two."""
    is_drawing = shapes.mode == "add_rectangle"
    began = np.array(event.pos, dtype=float)
    yield
    while event.type == "mouse_move":
        yield
    if is_drawing and np.abs(np.array(event.pos, dtype=float) - began).max() < _CLICK:
        # Once napari has finished it.
        QTimer.singleShot(0, lambda: shapes.data and shapes.remove([len(shapes.data) - 1]))
