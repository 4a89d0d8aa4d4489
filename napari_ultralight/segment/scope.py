"""Which part of the image is meant: all of it, the slice in view, or a box."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from magicgui.widgets import ComboBox, PushButton, SpinBox
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ultralightunet.errors import InputError
from ultralightunet.models import Model

from ..layers.conversion import Picture
from ..layers.grid import Grid, Ranges
from ..layers.placing import known_grid_of, position
from ..parts.worker import show_failure
from .box import BoxDrawing


class Scope(Enum):
    """What of the image is segmented."""

    WHOLE = "Whole image"
    SLICE = "Current slice"
    BOX = "Box"


class ScopeChoice(QWidget):
    """Scope, and beneath it what that scope needs to know.

    Attributes:
        combo: the scope; its value is a `Scope`.
        across: with a 2D model on a volume, the shown axis across which it is cut into slices, or None for the axis in view.
        draw: the button that starts a box.
        first: first slice of the box.
        last: last slice of the box.
    """

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Any = None
        self._model: Model | None = None
        self._drawing = BoxDrawing(viewer)
        self.combo = ComboBox(
            choices=self._scopes, tooltip="How much of the image to segment. A box is quicker where you need only one region."
        )
        self.across = ComboBox(choices=self._axes, tooltip="A 2D model sees a volume slice by slice: across which axis it is cut.")
        self.draw = PushButton(text="Draw box", tooltip="Adds a layer to draw a rectangle in, on the slice in view (Ctrl+Shift+B).")
        self.first = SpinBox(value=0, min=0, max=0, tooltip="First slice of the box, by the number beside napari's slider.")
        self.last = SpinBox(value=0, min=0, max=0, tooltip="Last slice of the box, by the number beside napari's slider.")
        for spin in (self.first, self.last):
            spin.native.setFixedWidth(92)
            spin.changed.connect(self._keep_slices)
        self.draw.changed.connect(self.draw_box)
        self.combo.changed.connect(self._show_rows)
        self._across_row = _row(QLabel("Slices across"), self.across.native)
        self._slices_across = QLabel("Slices")
        self._slices = _row(self._slices_across, self.first.native, QLabel("to"), self.last.native)
        self._box_row = _row(self.draw.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.combo.native, self._across_row, self._box_row, self._slices):
            layout.addWidget(widget)
        viewer.dims.events.order.connect(self._show_slices)
        viewer.dims.events.ndisplay.connect(self._show_slices)
        self._drawing.changed.connect(self._show_slices)
        self.adapt(None, None)

    def adapt(self, layer: Any, model: Model | None) -> None:
        """Offer what makes sense for an image layer and a model; either may be None."""
        if layer is self._layer and model is self._model:
            return
        is_new_image = layer is not self._layer
        self._layer, self._model = layer, model
        self.combo.reset_choices()
        self.across.reset_choices()
        if is_new_image:
            self._show_slices()
            if self._drawing.has_box(layer):
                # It was drawn before the dock was opened, or another image was looked at meanwhile.
                self.combo.value = Scope.BOX
        self._show_rows()

    def selection(self, picture: Picture) -> dict[str, Any]:
        """The arguments box, axis and slice of a `Request`, along the axes of the image's own grid.

        Raises:
            InputError: if the view does not say which slice is meant, or no box was drawn.
        """
        grid = picture.grid
        chosen: dict[str, Any] = {}
        slices = self._is_sliced() and len(grid.shape) == 3
        if self.combo.value is Scope.SLICE:
            axis = self._axis_in_view(grid)
            chosen["axis"], chosen["slice"] = grid.native_slice(axis, self._slice_in_view(grid, axis))
        elif slices:
            axis = self.across.value if self.across.value is not None else self._axis_in_view(grid)
            chosen["axis"] = grid.axes[axis]
        if self.combo.value is Scope.BOX:
            chosen["box"] = grid.native_box(self._box(grid))
        return chosen

    def draw_box(self) -> None:
        """Let the user draw a rectangle on the slice in view; the latest one counts."""
        if self._layer is None:
            return
        try:
            placement = Picture.of(self._layer, self._viewer.dims.point, self._viewer.dims.units).placement
        except InputError as error:
            show_failure(error)
            return
        self.combo.value = Scope.BOX
        self._drawing.draw(self._layer, placement)
        self._show_slices()

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this widget."""
        self._viewer.dims.events.order.disconnect(self._show_slices)
        self._viewer.dims.events.ndisplay.disconnect(self._show_slices)
        self._drawing.close_down()

    @property
    def _shapes(self) -> Any:
        """The layer in which the box of the chosen image is drawn, or None."""
        return self._drawing.layer_for(self._layer)

    def _grid(self) -> Grid | None:
        return known_grid_of(self._layer)

    def _is_sliced(self) -> bool:
        return self._model is not None and self._model.spatial_dims == 2

    def _scopes(self, *_: Any) -> list[tuple[str, Scope]]:
        grid = self._grid()
        sliced = self._is_sliced() and grid is not None and len(grid.shape) == 3
        scopes = [Scope.WHOLE, Scope.SLICE, Scope.BOX] if sliced else [Scope.WHOLE, Scope.BOX]
        return [("Every slice" if sliced and scope is Scope.WHOLE else scope.value, scope) for scope in scopes]

    def _axes(self, *_: Any) -> list[tuple[str, int | None]]:
        names = [] if self._layer is None else list(self._layer.axis_labels)[-3:]
        return [("the axis in view", None), *((name, axis) for axis, name in enumerate(names))]

    def _show_rows(self, *_: Any) -> None:
        grid = self._grid()
        is_volume = grid is not None and len(grid.shape) == 3
        self._across_row.setVisible(self._is_sliced() and is_volume and self.combo.value is not Scope.SLICE)
        self._box_row.setVisible(self.combo.value is Scope.BOX)
        self._slices.setVisible(is_volume and self.combo.value is Scope.BOX)

    def _show_slices(self, *_: Any) -> None:
        """Let the spin boxes span the axis that the box is deep along, with what was chosen for it."""
        grid = self._grid()
        if grid is None or len(grid.shape) < 3:
            return
        axis = self._depth_axis(grid)
        if axis is None:
            return
        last = grid.shown_shape[axis] - 1
        chosen = self._drawing.slices(self._layer, axis) or (0, last)
        for spin, value in zip((self.first, self.last), chosen, strict=True):
            with spin.changed.blocked():
                spin.max = last
                spin.value = min(value, last)
        self._slices_across.setText(f"Slices {list(self._layer.axis_labels)[-3:][axis]}")

    def _keep_slices(self, *_: Any) -> None:
        grid = self._grid()
        axis = None if grid is None or len(grid.shape) < 3 else self._depth_axis(grid)
        if axis is not None:
            self._drawing.keep_slices(self._layer, axis, (self.first.value, self.last.value))

    def _depth_axis(self, grid: Grid) -> int | None:
        """The shown axis that the rectangle is flat along, whatever is in view; without a rectangle the axis in view."""
        corners = self._drawing.corners(self._layer, grid)
        if corners is not None:
            return int(np.ptp(corners, axis=0).argmin())
        try:
            return self._axis_in_view(grid)
        except InputError:
            return None

    def _axis_in_view(self, grid: Grid) -> int:
        """The shown axis that the viewer's slider runs along."""
        dims = self._viewer.dims
        inner = [axis - (dims.ndim - 3) for axis in dims.not_displayed if axis >= dims.ndim - 3]
        if len(grid.shape) != 3 or len(inner) != 1:
            raise InputError("expected a view of one slice, found another; switch napari to 2D (Ctrl+Y) and show two axes of the image")
        return int(inner[0])

    def _slice_in_view(self, grid: Grid, axis: int) -> int:
        at = position(self._layer, self._viewer.dims.point, self._viewer.dims.units)[-3:]
        return int(np.clip(round(at[axis]), 0, grid.shown_shape[axis] - 1))

    def _box(self, grid: Grid) -> Ranges:
        corners = self._drawing.corners(self._layer, grid)
        if corners is None:
            raise InputError("expected a box, found none drawn; press “Draw box” and drag a rectangle on the image")
        low, high = corners.min(0), corners.max(0)
        ranges = [
            (int(max(0, np.floor(a + 0.5))), int(min(n, np.floor(b + 0.5) + 1)))
            for a, b, n in zip(low, high, grid.shown_shape, strict=True)
        ]
        if len(ranges) == 3:
            # The rectangle lies in one slice; how far it reaches across slices stands in the spin boxes.
            flat = int((high - low).argmin())
            first, last = sorted((self.first.value, self.last.value))
            ranges[flat] = (first, min(last + 1, grid.shown_shape[flat]))
        if any(stop <= start for start, stop in ranges):
            raise InputError("expected a rectangle on the image, found one beside it; draw it on the image")
        return tuple(ranges)


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    return row
