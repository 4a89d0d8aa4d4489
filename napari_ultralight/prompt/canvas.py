"""The two layers that pointing adds to the viewer: the preview, which takes clicks, and marks where something was said."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import Enum
from typing import Any

import numpy as np
from napari.layers import Labels, Points
from numpy.typing import NDArray

from ultralightunet.prompting import Box, Lasso, Point, Prompt, Stroke

from ..layers.helpers import HELPER
from .scene import Scene

PREVIEW, MARKS = "Pointing (preview)", "Prompts"
"""Names of the layers."""

POSITIVE, NEGATIVE = "#4caf50", "#f44336"


class Tool(Enum):
    """What a press of the mouse means."""

    ADD = "add"
    REMOVE = "remove"
    STROKE = "stroke"
    BOX = "box"
    LASSO = "lasso"


class Canvas:
    """Shows one object's mask, and turns what the mouse does on it into prompts.

    Args:
        viewer: napari's.
        scene: what is pointed at.
        mask: of the object, shown as it is whenever `refresh` is called.
        color: red, green, blue and opacity of the preview, 0..1.
        on_prompt: gets each prompt.
    """

    def __init__(
        self, viewer: Any, scene: Scene, mask: NDArray[np.bool_], color: tuple[float, ...], on_prompt: Callable[[Prompt], None]
    ) -> None:
        self._viewer, self._scene, self._on_prompt = viewer, scene, on_prompt
        self.tool = Tool.ADD
        placement = dict(scene.picture.placement)
        self.preview = Labels(scene.view(mask), name=PREVIEW, opacity=0.5, metadata={HELPER: True}, **placement)
        self.marks = Points(
            ndim=self.preview.ndim, name=MARKS, size=1, border_width=0.1, border_color="white", metadata={HELPER: True}, **placement
        )
        self.marks.editable = False
        self.paint(color)
        viewer.add_layer(self.marks)
        viewer.add_layer(self.preview)
        self.preview.editable = False
        self.preview.mouse_drag_callbacks.append(self._press)
        viewer.layers.selection.active = self.preview

    @property
    def is_there(self) -> bool:
        """Whether the user has left the preview in the viewer."""
        return self.preview in self._viewer.layers

    def use(self, tool: Tool) -> None:
        """What the mouse means from now on. Dragging moves the view only while a click is what counts."""
        self.tool = tool
        self.preview.mouse_pan = tool in (Tool.ADD, Tool.REMOVE)
        self.preview.cursor = "cross"

    def paint(self, color: tuple[float, ...]) -> None:
        """Show the preview in another colour."""
        self.preview.colormap = {None: color, 0: (0.0, 0.0, 0.0, 0.0), 1: color}

    def show(self, mask: NDArray[np.bool_], prompts: list[Prompt]) -> None:
        """Show a mask, and marks of all prompts."""
        self.preview.data = self._scene.view(mask)
        places = [self._scene.shown(_places(prompt)) for prompt in prompts]
        colors = [POSITIVE if prompt.positive else NEGATIVE for prompt, some in zip(prompts, places, strict=True) for _ in some]
        self.marks.data = np.concatenate(places) if places else np.zeros((0, self.preview.ndim))
        if colors:
            self.marks.face_color = colors
            self.marks.size = self._mark_size()

    def close(self) -> None:
        """Take the layers out of the viewer."""
        for layer in (self.preview, self.marks):
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _mark_size(self) -> float:
        """So that a mark is easy to see and hides nothing: about a hundredth of what is shown."""
        extent = self.preview.extent.step[-2:] * np.array(self.preview.data.shape[-2:])
        return float(max(extent) / 100 / min(self.preview.extent.step[-2:]))

    def _press(self, layer: Any, event: Any) -> Generator[None, None, None]:
        if event.button != 1:
            return
        negative = self.tool is Tool.REMOVE or "Alt" in event.modifiers
        path = [self._place(event)]
        pressed = np.array(event.pos, np.float64)
        yield
        moved = False
        while event.type == "mouse_move":
            moved = moved or bool(np.abs(np.array(event.pos, np.float64) - pressed).max() > 4)
            path.append(self._place(event))
            yield
        # Where the button was let go: napari passes over moves that follow each other quickly.
        path.append(self._place(event))
        moved = moved or bool(np.abs(np.array(event.pos, np.float64) - pressed).max() > 4)
        prompt = self._prompt(path, moved=moved, positive=not negative)
        if prompt is not None:
            self._on_prompt(prompt)

    def _place(self, event: Any) -> NDArray[np.float64]:
        return np.asarray(self.preview.world_to_data(event.position), np.float64)

    def _prompt(self, path: list[NDArray[np.float64]], *, moved: bool, positive: bool) -> Prompt | None:
        """The prompt that a path of the mouse stands for; None where it stands for none, such as a drag that moved the view."""
        voxels = np.rint(self._scene.voxels(path))
        if self.tool in (Tool.ADD, Tool.REMOVE):
            return None if moved else Point(tuple(voxels[0].tolist()), positive)
        if not moved:
            # A click with a tool that wants a drag is a point all the same.
            return Point(tuple(voxels[0].tolist()), positive)
        if self.tool is Tool.STROKE:
            return Stroke.along(voxels, positive=positive)
        if self.tool is Tool.BOX:
            low, high = np.minimum(voxels[0], voxels[-1]), np.maximum(voxels[0], voxels[-1])
            return Box(tuple((float(a), float(b) + 1) for a, b in zip(low, high, strict=True)), positive)
        return Lasso(voxels, positive) if len(voxels) > 2 else None


def _places(prompt: Prompt) -> NDArray[np.float64]:
    """Voxels that show where a prompt is."""
    if isinstance(prompt, Point):
        return np.asarray([prompt.voxel], np.float64)
    if isinstance(prompt, Stroke):
        return np.asarray(prompt.voxels, np.float64)[::2]
    if isinstance(prompt, Lasso):
        return np.asarray(prompt.corners, np.float64)[::2]
    ranges = np.asarray(prompt.ranges, np.float64)
    low, high = ranges[:, 0], ranges[:, 1] - 1
    flat = [axis for axis in range(len(ranges)) if low[axis] == high[axis]][:1]
    across, along = [axis for axis in range(len(ranges)) if axis not in flat][-2:]
    corners = []
    for a, b in ((low, low), (low, high), (high, high), (high, low), (low, low)):
        corner = low.copy()
        corner[across], corner[along] = a[across], b[along]
        corners.append(corner)
    return np.asarray(Stroke.along(corners).voxels, np.float64)[::3]
