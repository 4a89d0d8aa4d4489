"""One object after another: the session that answers, its preview, and how its mask gets into the labels."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ultralightunet.engines import Engine
from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.events import Progress, finish
from ultralightunet.models import LabelClass
from ultralightunet.prompting import Point, Prompt, PromptSession, into_labels
from ultralightunet.prompting.network import prompt_engine
from ultralightunet.volume import Segmentation

from ..layers.active_labels import ActiveLabels
from ..layers.facts import classes_of
from ..layers.grid import KEY
from ..layers.target import Target
from ..parts.job import Job
from ..parts.worker import show_failure
from .canvas import Canvas, Tool
from .scene import Scene

OBJECT = LabelClass(1, "object", (230, 159, 0))
"""The class of labels that begin with an object that was pointed at."""


class Pointing(QObject):
    """Answers prompts on the image that is chosen, off the GUI's thread.

    A prompt that comes while the last one is being answered waits; of several that wait only the newest is kept.

    Signals: `changed()` when there is something new to show; `progressed(event)`; `said(str)` with a line for the user.
    """

    changed = Signal()
    progressed = Signal(object)
    said = Signal(str)

    def __init__(self, viewer: Any, active: ActiveLabels, image: Callable[[], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._active, self._image = viewer, active, image
        self.through_slices = True
        self.over_others = False
        self._engine: Engine | None = None
        self._scene: Scene | None = None
        self._session: PromptSession | None = None
        self._canvas: Canvas | None = None
        self._axis: int | None = None
        self._replaced: NDArray[np.bool_] | None = None
        self._prompts: list[Prompt] = []
        self._waiting: Prompt | None = None
        self._tool: Tool | None = None
        self._job = Job(self)
        self._job.progressed.connect(self.progressed)
        self._job.returned.connect(self._show_answer)
        self._job.failed.connect(self.said)
        self._job.ended.connect(self._go_on)
        self._warming = Job(self)
        self._warming.returned.connect(self._use_engine)
        self._warming.failed.connect(self.said)
        viewer.layers.events.removed.connect(self._notice_removed)

    @property
    def is_busy(self) -> bool:
        """Whether an answer, or the network, is awaited."""
        return self._job.is_running or self._warming.is_running

    @property
    def has_object(self) -> bool:
        """Whether there is a mask to take over."""
        return self._session is not None and bool(self._prompts)

    @property
    def tool(self) -> Tool | None:
        """What the mouse means, None while it does not point."""
        return self._tool

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """The object on the image's own grid, or None."""
        return None if self._session is None else self._session.mask

    def warm_up(self) -> None:
        """Load the network, so that the first click need not wait for it."""
        if self._engine is None:
            self._warming.start(_load)

    def use(self, tool: Tool | None) -> None:
        """Let the mouse point with a tool; None gives it back to napari and leaves the preview as it is."""
        self._tool = tool
        if tool is None:
            if self._canvas is not None and not self.has_object:
                self.drop()
            self.changed.emit()
            return
        self.warm_up()
        if self._engine is None:
            self.said.emit("Loading the network…")
            return
        try:
            self._be_ready()
        except UltraLightError as error:
            self._tool = None
            self.said.emit(show_failure(error))
        self.changed.emit()

    def say_something(self, prompt: Prompt) -> None:
        """Answer a prompt about the object."""
        if self._job.is_running:
            self._waiting = prompt
            return
        try:
            axis = self._still_fits()
            self._begin_with(prompt, axis)
        except UltraLightError as error:
            self.said.emit(show_failure(error))
            return
        assert self._session is not None
        self._prompts.append(prompt)
        self._job.start(partial(self._session.adding, prompt))
        self.changed.emit()

    def undo(self) -> None:
        """Take the last prompt back."""
        if self._session is None or self._job.is_running or not self._prompts:
            return
        self._session.undo()
        self._prompts.pop()
        self._show()
        self.said.emit("One prompt taken back.")

    def drop(self) -> None:
        """Give the object up; the labels stay as they are."""
        self._waiting = None
        self._job.stop()
        self._prompts = []
        self._session, self._replaced = None, None
        canvas, self._canvas = self._canvas, None
        if canvas is not None:
            canvas.close()
        if self._tool is not None and self._scene is not None and self._scene.layer in self._viewer.layers:
            self._be_ready()
        self.changed.emit()

    def take_over(self, *, next_class: bool = False) -> None:
        """Put the object into the labels, as one step for Ctrl+Z, and begin another: of the same class, or of the next one."""
        if not self.has_object or self._job.is_running or self._scene is None or self._session is None:
            return
        try:
            layer = self._labels()
            index = int(layer.selected_label) or 1
            target = Target.of(layer, self._viewer, classes=(index,))
        except UltraLightError as error:
            self.said.emit(show_failure(error))
            return
        mask = self._scene.picture.grid.to_shown(self._session.mask)
        replaced = None if self._replaced is None else self._scene.picture.grid.to_shown(self._replaced)
        over = self.over_others and not layer.preserve_labels

        def change(labels: NDArray[Any], _: Any) -> NDArray[Any]:
            return into_labels(labels, mask, index, over=over, in_place_of=replaced)

        count = target.apply(finish(target.working("Take over", change)))
        self.drop()
        if next_class:
            layer.selected_label = index + 1
        self.said.emit(f"{count:,} voxels of {_name_of(layer, index)} changed; Ctrl+Z in the labels takes it back.")

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this object."""
        self._tool = None
        self._viewer.layers.events.removed.disconnect(self._notice_removed)
        self._job.stop()
        self._warming.stop()

    def _be_ready(self) -> None:
        """Have a preview to point at, on the image that is chosen."""
        scene = Scene.of(self._image(), self._viewer)
        if self._canvas is None or self._scene is None or self._scene.key != scene.key or not self._canvas.is_there:
            if self._canvas is not None:
                self._canvas.close()
            self._scene, self._axis = scene, scene.axis_in_view(self._viewer)
            self._prompts = []
            self._start(None)
            assert self._session is not None
            self._canvas = Canvas(self._viewer, scene, self._session.mask, self._color(), self.say_something)
            self._bind_keys(self._canvas)
        if self._tool is not None:
            self._canvas.use(self._tool)
            self._viewer.layers.selection.active = self._canvas.preview

    def _start(self, mask: NDArray[np.bool_] | None) -> None:
        assert self._scene is not None
        self._session = PromptSession(
            self._scene.volume, start=mask, axis=self._axis, slice_only=not self.through_slices, engine=self._engine
        )

    def _still_fits(self) -> int | None:
        """The axis in view, where the image is still the one that the preview is of.

        Raises:
            InputError: where it is not.
        """
        scene = self._scene
        if scene is None or self._canvas is None or not self._canvas.is_there:
            raise InputError("expected the preview that was pointed at, found it removed; choose a tool again")
        if scene.layer not in self._viewer.layers:
            raise InputError("expected the image that is pointed at, found it removed; choose another image")
        now = Scene.of(scene.layer, self._viewer)
        if now.key[1] != scene.key[1] or now.picture.grid.shape != scene.picture.grid.shape:
            raise InputError("expected the image as it was, found its data changed; press Esc and point again")
        if now.picture.index != scene.picture.index:
            raise InputError("expected the time point that was pointed at, found another; go back to it, or press Esc and point again")
        return scene.axis_in_view(self._viewer)

    def _begin_with(self, prompt: Prompt, axis: int | None) -> None:
        """Before the first prompt of an object, and where the view was turned: the session that suits."""
        assert self._session is not None
        if not self._prompts:
            self._axis = axis
            self._replaced = self._labels_at(prompt)
            self._start(self._replaced)
        elif axis != self._axis:
            # What was found stays; the steps before the turn cannot be taken back one by one any more.
            self._axis = axis
            self._prompts = []
            self._start(self._session.mask.copy())

    def _labels_at(self, prompt: Prompt) -> NDArray[np.bool_] | None:
        """The labels of the selected class that a first click is on: it is these that the user wants to change."""
        layer, scene = self._active.layer, self._scene
        if layer is None or scene is None or not isinstance(prompt, Point) or not self._is_on_scene(layer):
            return None
        index = int(layer.selected_label)
        labels = scene.picture.grid.to_native(np.asarray(Target.of(layer, self._viewer, classes=(index,)).labels))
        place = tuple(int(v) for v in prompt.marks(labels.shape)[0])
        if index == 0 or labels[place] != index:
            return None
        return np.asarray(labels == index)

    def _labels(self) -> Any:
        """The labels layer that the object goes into: the one in use where it lies on the image, else a new one."""
        layer, scene = self._active.layer, self._scene
        assert scene is not None
        if layer is not None and self._is_on_scene(layer):
            return layer
        grid = scene.picture.grid
        empty = np.zeros(grid.shape, np.uint8)
        classes = (LabelClass(0, "background", (0, 0, 0)), OBJECT)
        made = Segmentation(empty, grid.affine, classes, grid.has_spacing, grid.source)
        layer = Layer.create(*scene.picture.labels_layer(made, name=f"{scene.layer.name} - objects"))
        layer.brush_size = 5
        self._viewer.add_layer(layer)
        layer.selected_label = 1
        self._viewer.layers.selection.active = layer
        return layer

    def _is_on_scene(self, layer: Any) -> bool:
        """Whether a labels layer has the voxels of the image that is pointed at."""
        assert self._scene is not None
        if layer.multiscale or self._canvas is None:
            return False
        preview = self._canvas.preview
        same_shape = (
            tuple(layer.data.shape[-preview.ndim :])[-len(self._scene.picture.grid.shape) :]
            == preview.data.shape[-len(self._scene.picture.grid.shape) :]
        )
        n = len(self._scene.picture.grid.shape)
        return (
            same_shape
            and np.allclose(layer.extent.step[-n:], preview.extent.step[-n:])
            and np.allclose(layer.extent.world[0][-n:], preview.extent.world[0][-n:], atol=1e-3)
        )

    def _color(self) -> tuple[float, ...]:
        layer = self._active.layer
        color = None if layer is None or not int(layer.selected_label) else layer.get_color(int(layer.selected_label))
        return tuple(float(v) for v in color) if color is not None else (*(v / 255 for v in OBJECT.color), 1.0)

    def _show(self) -> None:
        if self._canvas is not None and self._session is not None and self._canvas.is_there:
            self._canvas.paint(self._color())
            self._canvas.show(self._session.mask, self._prompts)
        self.changed.emit()

    def _show_answer(self, _: Any) -> None:
        self._show()
        if self._session is not None:
            self.said.emit(" ".join(self._session.notes) or "Enter takes it over, Esc drops it, Ctrl+Z takes back one prompt.")

    def _go_on(self, cancelled: bool) -> None:
        if self._session is not None and len(self._prompts) > len(self._session):
            # What was cancelled or refused was not said.
            self._prompts.pop()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not cancelled:
            self.say_something(waiting)
        self.changed.emit()

    def _use_engine(self, engine: Engine) -> None:
        self._engine = engine
        self.said.emit("")
        if self._tool is not None:
            self.use(self._tool)

    def _notice_removed(self, event: Any) -> None:
        if self._canvas is not None and event.value is self._canvas.preview:
            self._tool = None
            self.drop()

    def _bind_keys(self, canvas: Canvas) -> None:
        actions: dict[str, Callable[[], None]] = {"Enter": self.take_over, "Escape": self.drop, "Control-Z": self.undo}
        actions |= {letter: partial(self.use, tool) for letter, tool in KEYS.items()}
        for key, action in actions.items():
            canvas.preview.bind_key(key, _ignoring_the_layer(action), overwrite=True)


KEYS = {"a": Tool.ADD, "r": Tool.REMOVE, "s": Tool.STROKE, "b": Tool.BOX, "l": Tool.LASSO}
"""Letters that choose a tool while pointing."""


def _load() -> Generator[Progress, None, Engine]:
    yield Progress("Loading the network", 0, 1)
    return prompt_engine()


def _name_of(layer: Any, index: int) -> str:
    return next((c.name for c in classes_of(layer.metadata.get(KEY, {})) if c.index == index), f"label {index}")


def _ignoring_the_layer(action: Callable[[], None]) -> Callable[[Any], None]:
    def call(layer: Any) -> None:
        action()

    return call
