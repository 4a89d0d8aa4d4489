"""Pointing at objects in a real window: clicks, strokes, taking over, undo."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_ultralight.prompt.canvas import PREVIEW, Tool
from tests.napari.conftest import labels_in, until
from tests.prompting.scenes import ball, blob
from ultralightunet.metrics import dice

Opened = Callable[..., tuple[Any, Any]]


def ready(dock: Any, qtbot: Any) -> None:
    """Wait until nothing is being answered."""
    until(qtbot, lambda: not dock.point.pointing.is_busy)


def begin(dock: Any, qtbot: Any, tool: Tool = Tool.ADD) -> None:
    """Unfold, choose a tool, and wait for the network."""
    dock.point.expand()
    dock.point.tools[tool].click()
    ready(dock, qtbot)


def on_screen(viewer: Any, world: tuple[float, ...]) -> QPoint:
    """Where a place of the world is on the canvas."""
    canvas = viewer.window._qt_viewer.canvas
    transform = canvas.view.scene.transform
    shown = [world[axis] for axis in viewer.dims.displayed]
    x, y = transform.map([shown[1], shown[0], 0, 1])[:2]
    return QPoint(round(float(x)), round(float(y)))


def click(viewer: Any, world: tuple[float, ...], *, alt: bool = False) -> None:
    """A click of the mouse into the canvas."""
    native = viewer.window._qt_viewer.canvas.native
    modifier = Qt.KeyboardModifier.AltModifier if alt else Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(native, Qt.MouseButton.LeftButton, modifier, on_screen(viewer, world))


def drag(viewer: Any, *path: tuple[float, ...]) -> None:
    """A drag of the mouse along places of the world, with its button down all the way."""
    native = viewer.window._qt_viewer.canvas.native
    places = [on_screen(viewer, world) for world in path]
    none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
    steps = [start + (end - start) * share for start, end in pairwise(places) for share in (0.25, 0.5, 0.75, 1.0)]
    moves = [(QEvent.Type.MouseMove, place, none, left) for place in steps]
    for kind, place, button, held in (
        (QEvent.Type.MouseButtonPress, places[0], left, left),
        *moves,
        (QEvent.Type.MouseButtonRelease, places[-1], left, none),
    ):
        at = QPointF(place)
        event = QMouseEvent(kind, at, QPointF(native.mapToGlobal(place)), button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(native, event)
        # napari takes one move in five milliseconds.
        QTest.qWait(10)


@pytest.fixture
def picture(open_dock: Opened, qtbot: Any) -> tuple[Any, Any, np.ndarray]:
    """A viewer with a blob in a picture, the tool Add in the hand: (viewer, dock, blob)."""
    viewer, dock = open_dock(show=True)
    image, target = blob((120, 150), (50, 90), 20)
    viewer.add_image(image.array, name="blob")
    begin(dock, qtbot)
    return viewer, dock, target


def test_a_click_shows_the_object_and_enter_puts_it_into_new_labels(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, target = picture
    click(viewer, (50, 90))
    ready(dock, qtbot)
    preview = viewer.layers[PREVIEW]
    assert dice(preview.data == 1, target) > 0.85
    assert preview.data[50, 90] == 1
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Return)
    until(qtbot, lambda: not dock.point.pointing.has_object)
    labels = next(layer for layer in labels_in(viewer) if layer.name == "blob - objects")
    assert dice(labels.data == 1, target) > 0.85
    viewer.layers.selection.active = labels
    labels.undo()
    assert not labels.data.any()


def test_undo_takes_back_one_prompt_and_escape_drops_the_object(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, _ = picture
    click(viewer, (50, 90))
    ready(dock, qtbot)
    before = dock.point.pointing.mask.copy()
    drag(viewer, (5, 5), (5, 40))
    click(viewer, (110, 20))
    ready(dock, qtbot)
    assert dock.point.pointing.mask[110, 20]
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (dock.point.pointing.mask == before).all()
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Escape)
    assert not dock.point.pointing.has_object
    assert not [layer for layer in labels_in(viewer) if "objects" in layer.name]


def test_a_stroke_a_box_and_a_loop_are_drawn_with_the_mouse(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, target = picture
    for tool, path in (
        (Tool.STROKE, [(45, 80), (50, 90), (56, 100)]),
        (Tool.BOX, [(26, 66), (74, 114)]),
        (Tool.LASSO, [(24, 90), (50, 116), (76, 90), (50, 64), (26, 88)]),
    ):
        dock.point.tools[tool].click()
        drag(viewer, *path)
        ready(dock, qtbot)
        assert dice(dock.point.pointing.mask, target) > 0.8, tool
        dock.point.drop.native.click()


def test_what_is_negative_is_taken_away(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, _ = picture
    click(viewer, (50, 90))
    ready(dock, qtbot)
    dock.point.tools[Tool.REMOVE].click()
    click(viewer, (50, 95))
    ready(dock, qtbot)
    assert not dock.point.pointing.mask[50, 95]


def test_an_object_goes_into_the_labels_in_use_and_leaves_other_classes_alone(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, target = picture
    data = np.zeros((120, 150), np.uint8)
    data[:, 90:] = 2
    labels = viewer.add_labels(data, name="mine")
    labels.selected_label = 3
    begin(dock, qtbot, Tool.STROKE)
    dock.point.tools[Tool.ADD].click()
    click(viewer, (50, 85))
    ready(dock, qtbot)
    dock.point.take.native.click()
    assert (labels.data[:, 90:] == 2).all()
    assert dice(labels.data[:, :90] == 3, target[:, :90]) > 0.8


def test_a_click_on_labels_of_the_selected_class_changes_these(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, target = picture
    data = np.zeros((120, 150), np.uint8)
    data[target] = 1
    data[100:110, 20:30] = 1
    labels = viewer.add_labels(data, name="mine")
    labels.selected_label = 1
    begin(dock, qtbot, Tool.BOX)
    dock.point.tools[Tool.REMOVE].click()
    click(viewer, (105, 25))
    ready(dock, qtbot)
    dock.point.take.native.click()
    assert labels.data[105, 25] == 0
    assert dice(labels.data == 1, target) > 0.95


def test_in_a_volume_the_object_is_followed_through_the_slices(open_dock: Opened, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    image, target = ball((40, 96, 96), (20, 48, 48), 12)
    viewer.add_image(image.array, name="ball", scale=(2, 1, 1))
    viewer.dims.set_current_step(0, 20)
    begin(dock, qtbot)
    click(viewer, (40, 48, 48))
    ready(dock, qtbot)
    assert dice(dock.point.pointing.mask, target) > 0.7
    dock.point.take.native.click()
    labels = next(layer for layer in labels_in(viewer) if layer.name == "ball - objects")
    assert dice(labels.data == 1, target) > 0.7
    assert np.allclose(labels.scale, (2, 1, 1))


def test_an_array_that_is_computed_when_read_is_read_around_the_object_only(open_dock: Opened, qtbot: Any) -> None:
    import dask.array

    viewer, dock = open_dock(show=True)
    image, target = ball((40, 96, 96), (20, 48, 48), 12)
    read: set[int] = set()

    def one(block_info: Any = None) -> np.ndarray:
        first = block_info[None]["array-location"][0][0]
        read.add(first)
        return image.array[first : first + 1]

    lazy = dask.array.map_blocks(one, chunks=((1,) * 40, 96, 96), dtype=np.uint8)
    viewer.add_image(lazy, name="lazy", contrast_limits=(0, 255))
    viewer.dims.set_current_step(0, 20)
    dock.point.through.value = False
    begin(dock, qtbot)
    read.clear()
    click(viewer, (20, 48, 48))
    ready(dock, qtbot)
    assert dice(dock.point.pointing.mask[20], target[20]) > 0.7
    assert read == {20}


def test_labels_that_help_to_point_are_neither_saved_nor_missed(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, _ = picture
    click(viewer, (50, 90))
    ready(dock, qtbot)
    assert dock._active.layer is None
    dock.unsaved.flush()
    assert dock.unsaved.layers == []


def test_removing_the_preview_gives_the_object_up(picture: tuple[Any, Any, np.ndarray], qtbot: Any) -> None:
    viewer, dock, _ = picture
    click(viewer, (50, 90))
    ready(dock, qtbot)
    viewer.layers.remove(PREVIEW)
    assert not dock.point.pointing.has_object
    assert dock.point.pointing.tool is None


def test_a_volume_in_3d_is_not_pointed_at(open_dock: Opened, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    image, _ = ball((40, 96, 96), (20, 48, 48), 12)
    viewer.add_image(image.array, name="ball")
    viewer.dims.ndisplay = 3
    begin(dock, qtbot)
    assert "switch napari to 2D" in dock.point.status
    assert not any(isinstance(layer, Labels) for layer in viewer.layers)


def test_without_an_image_pointing_says_what_is_missing(open_dock: Opened, qtbot: Any) -> None:
    _, dock = open_dock()
    begin(dock, qtbot)
    assert "found no image layer" in dock.point.status
