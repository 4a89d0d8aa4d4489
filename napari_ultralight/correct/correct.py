"""The part of the dock for correcting: a brush in millimetres, and tools that work in 3D."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from functools import partial
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, PushButton
from qtpy.QtWidgets import QFormLayout, QGridLayout, QHBoxLayout, QLabel, QWidget

from ultralightunet import editing
from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.events import Progress

from ..layers.active_labels import ActiveLabels
from ..layers.facts import classes_of
from ..layers.grid import KEY
from ..layers.placing import known_grid_of
from ..layers.target import Change, Step, Target
from ..parts.fold import Fold
from ..parts.job import Job
from ..parts.told import Told
from ..parts.worker import show_failure
from . import tools
from .brush import brush_mm, set_brush

SELECTED, EVERY = "selected", "every"

KEYS = {
    "between": "Control-Shift-F",
    "largest": "Control-Shift-L",
    "small": "Control-Shift-D",
    "holes": "Control-Shift-H",
    "smooth": "Control-Shift-M",
}
"""Shortcuts of the tools."""


class Correct(Told, Fold):
    """Tools for the labels in use.

    Attributes:
        scope: whether a tool works on the selected class or on every class.
        brush: its diameter in mm.
        brush_3d: whether the brush is a ball.
        axis: across which slices are filled in; None for the axis in view.
        smallest: islands below this many ml are removed.
        hole: whether holes are looked for in 3D or slice by slice.
        radius: of smoothing, in mm.
        cancel: stops what is at work; there only while something is.
        buttons: by name: "between", "largest", "small", "holes", "smooth", "erase", "prediction".
    """

    def __init__(self, viewer: Any, active: ActiveLabels, parent: QWidget | None = None) -> None:
        super().__init__("Correct", "Tools that mend labels in 3D; each is one step for Ctrl+Z.", parent)
        self._viewer = viewer
        self._active = active
        self._followed: Any = None
        self._target: Target | None = None
        self._name = ""
        self._job = Job(self)
        self._job.returned.connect(self._apply)
        self._job.failed.connect(self.say)
        self._job.progressed.connect(self._show_progress)
        self._job.ended.connect(self._ended)
        self.scope = ComboBox(choices=self._scopes, nullable=False, tooltip="Which labels the tools below work on.")
        self.brush = FloatSpinBox(
            value=5.0, min=0.1, max=200.0, step=1.0, tooltip="Diameter of napari's brush and eraser in millimetres; [ and ] change it, too."
        )
        self.brush.native.setSuffix(" mm")
        self.brush_3d = CheckBox(
            text="3D", tooltip="Paint a ball through the slices instead of a disc; round in mm, however thick slices are."
        )
        self.axis = ComboBox(choices=self._axes, tooltip="Across which axis the slices lie that you drew in.")
        self.smallest = FloatSpinBox(value=1.0, min=0.01, max=1000.0, step=0.5, tooltip="Islands smaller than this are removed.")
        self.hole = ComboBox(
            choices=[("in 3D", None), ("in each slice", "slice")],
            tooltip="In 3D: what is enclosed on all sides. In each slice: what is enclosed in a slice across the axis in view.",
        )
        self.radius = FloatSpinBox(value=1.0, min=0.1, max=20.0, step=0.5, tooltip="How much is rounded off, in millimetres.")
        self.radius.native.setSuffix(" mm")
        for spin, decimals in ((self.brush, 1), (self.smallest, 2), (self.radius, 1)):
            spin.native.setDecimals(decimals)
        self.cancel = PushButton(text="Cancel", tooltip="Stop the tool that is at work; nothing is changed.")
        self.cancel.changed.connect(self.stop)
        self.buttons = {name: self._button(name, text, tip) for name, (text, tip) in _BUTTONS.items()}
        self._status = QLabel()
        self._status.setWordWrap(True)
        self._lay_out()
        self.brush.changed.connect(self._use_brush)
        self.brush_3d.changed.connect(self._use_brush)
        self._viewer.dims.events.order.connect(self._show_brush)
        active.chosen.connect(self.follow)
        self.follow()

    @property
    def layer(self) -> Any:
        """The labels layer that the tools work on, or None."""
        return self._active.layer

    def use(self, name: str) -> None:
        """Use a tool, by the name of its button; the work is done off the GUI's thread."""
        if self._job.is_running:
            return
        try:
            layer = self.layer
            if layer is None:
                raise InputError("expected labels to correct, found no labels layer; segment an image or select labels")
            classes = None if self.scope.value == EVERY else (int(layer.selected_label),)
            if classes == (0,):
                raise InputError("expected a class to work on, found the background selected; click a class, or choose every class")
            target = Target.of(layer, self._viewer, classes=classes)
            change = self._change(name, target)
        except UltraLightError as error:
            self.say(show_failure(error))
            return
        self._target, self._name = target, _BUTTONS[name][0]
        self._job.start(partial(target.working, self._name, change))
        self.say(f"{self._name}…")
        self._show_buttons()

    def stop(self) -> None:
        """Cancel the tool that is at work; it ends with the class that it is at."""
        if self._job.is_running:
            self._job.stop()
            self.say("Cancelling…")

    def undo(self) -> None:
        """Take back the last step on the labels that the tools work on, whatever layer is selected."""
        if self.layer is not None:
            self.layer.undo()

    def redo(self) -> None:
        """Take the last step again."""
        if self.layer is not None:
            self.layer.redo()

    def follow(self) -> None:
        """Show what concerns the layer that is selected now."""
        layer = self.layer
        if layer is not self._followed:
            self._connect(connect=False)
            self._followed = layer
            self._connect(connect=True)
            self._show_brush()
        self.scope.reset_choices()
        self.axis.reset_choices()
        self._show_units()
        self._show_buttons()

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this widget."""
        self._job.stop()
        self._connect(connect=False)
        self._viewer.dims.events.order.disconnect(self._show_brush)

    def _change(self, name: str, target: Target) -> Change:
        in_view = self._axis_in_view(target)
        if name == "between":
            axis = self.axis.value if self.axis.value is not None else in_view
            if axis is None:
                raise InputError("expected a view of one slice, found another; switch napari to 2D (Ctrl+Y) or choose an axis")
            return tools.fill_between(target, axis=axis)
        if name == "holes" and self.hole.value and in_view is not None and target.labels.ndim == 3:
            return partial(editing.fill_holes, axis=in_view)
        if name == "small":
            return tools.remove_small(target, smallest_ml=self.smallest.value)
        if name == "smooth":
            return tools.smooth(target, radius=self.radius.value)
        if name == "prediction":
            return tools.back_to_prediction(target)
        plain: dict[str, Change] = {"largest": editing.keep_largest, "holes": editing.fill_holes, "erase": editing.erase}
        return plain[name]

    def _show_progress(self, event: Progress) -> None:
        self.say(f"{event.stage}: {event.done} of {event.total}" if event.total > 1 else f"{event.stage}…")

    def _ended(self, was_cancelled: bool) -> None:
        if was_cancelled:
            self.say(f"{self._name}: cancelled; nothing was changed.")
        self._show_buttons()

    def _axis_in_view(self, target: Target) -> int | None:
        dims = self._viewer.dims
        inner = [axis - (dims.ndim - target.labels.ndim) for axis in dims.not_displayed if axis >= dims.ndim - target.labels.ndim]
        return int(inner[0]) if len(inner) == 1 else None

    def _apply(self, step: Step) -> None:
        target = self._target
        if target is None or target.layer not in self._viewer.layers:
            self.say(f"{self._name}: the labels were removed meanwhile; nothing was changed.")
            return
        try:
            count = target.apply(step)
        except UltraLightError as error:
            self.say(show_failure(error))
            return
        self.say(f"{self._name}: {count:,} voxels changed. Ctrl+Z takes it back." if count else f"{self._name}: nothing to change.")

    def _use_brush(self, *_: Any) -> None:
        layer = self.layer
        if layer is not None and not layer.multiscale:
            set_brush(layer, self._viewer.dims, mm=self.brush.value, in_3d=self.brush_3d.value)

    def _show_brush(self, event: Any = None) -> None:
        """Follow napari's own controls."""
        layer = self.layer
        if layer is None or layer.multiscale:
            return
        with self.brush.changed.blocked(), self.brush_3d.changed.blocked():
            self.brush_3d.value = layer.n_edit_dimensions > 2
            if not self.brush.native.hasFocus():
                self.brush.value = round(min(brush_mm(layer, self._viewer.dims), self.brush.max), 2)

    def _show_class(self, event: Any = None) -> None:
        self.scope.reset_choices()

    def _connect(self, *, connect: bool) -> None:
        if self._followed is None:
            return
        events = self._followed.events
        for emitter, slot in (
            (events.selected_label, self._show_class),
            (events.brush_size, self._show_brush),
            (events.n_edit_dimensions, self._show_brush),
        ):
            (emitter.connect if connect else emitter.disconnect)(slot)

    def _scopes(self, *_: Any) -> list[tuple[str, str]]:
        layer = self.layer
        named = {c.index: c.name for c in classes_of(layer.metadata.get(KEY, {}))} if layer is not None else {}
        label = int(layer.selected_label) if layer is not None else 0
        name = named.get(label, f"label {label}") if label else "no class selected"
        return [(f"Selected class: {name}" if label else "Selected class", SELECTED), ("Every class", EVERY)]

    def _axes(self, *_: Any) -> list[tuple[str, int | None]]:
        names = [] if self.layer is None else list(self.layer.axis_labels)[-3:]
        return [("axis in view", None), *((f"axis {name}", n) for n, name in enumerate(names))]

    def _show_units(self) -> None:
        grid = known_grid_of(self.layer)
        is_flat = grid is not None and len(grid.shape) == 2
        is_sized = grid is None or grid.has_spacing
        self.smallest.native.setSuffix((" cm²" if is_flat else " ml") if is_sized else " thousand")
        for spin in (self.brush, self.radius):
            spin.native.setSuffix(" mm" if is_sized else " px")
        self.brush_3d.native.setVisible(not is_flat)

    def _show_buttons(self, *_: Any) -> None:
        layer = self.layer
        is_free = layer is not None and not self._job.is_running
        self.cancel.native.setVisible(self._job.is_running)
        for name, button in self.buttons.items():
            button.enabled = is_free and (name != "prediction" or "prediction" in layer.metadata.get(KEY, {}))

    def _button(self, name: str, text: str, tip: str) -> PushButton:
        key = KEYS.get(name, "").replace("Control-Shift-", "Ctrl+Shift+")
        button = PushButton(text=text, tooltip=f"{tip} ({key})" if key else tip)
        button.changed.connect(lambda: self.use(name))
        return button

    def _lay_out(self) -> None:
        brush = QHBoxLayout()
        brush.addWidget(self.brush.native, 1)
        brush.addWidget(self.brush_3d.native)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Brush", brush)
        form.addRow("Work on", self.scope.native)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        rows = (("between", self.axis), ("holes", self.hole), ("small", self.smallest), ("smooth", self.radius))
        for row, (name, choice) in enumerate(rows):
            grid.addWidget(self.buttons[name].native, row, 0)
            grid.addWidget(choice.native, row, 1)
        last = QHBoxLayout()
        for name in ("largest", "erase", "prediction"):
            last.addWidget(self.buttons[name].native)
        self.body.addLayout(form)
        self.body.addLayout(grid)
        self.body.addLayout(last)
        self.body.addWidget(self._status)
        self.body.addWidget(self.cancel.native)
        self.say("")


_BUTTONS = {
    "between": (
        "Fill between slices",
        "Draw a class on a few slices; those between are drawn for you, over other classes unless napari preserves labels.",
    ),
    "holes": ("Fill holes", "Fill the background inside of a class; other classes inside of it stay."),
    "small": ("Remove islands", "Remove the islands of a class that are smaller than the size beside this."),
    "smooth": ("Smooth", "Round off outlines by as many millimetres along every axis, however thick slices are."),
    "largest": ("Keep largest", "Remove all islands of a class but the largest."),
    "erase": ("Erase", "Remove the class, or with “Every class” the whole prediction."),
    "prediction": ("Reset", "Go back to what the model predicted; Ctrl+Z brings your corrections back."),
}
"""Name of the button, and what it does."""
