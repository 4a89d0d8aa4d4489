"""Correcting in a real viewer: each tool is one step, whatever happens meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.action_manager import action_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAction

from napari_ultralight._widget import BOX_KEY, CANCEL_KEY, SEGMENT_KEY
from napari_ultralight.correct.correct import KEYS
from napari_ultralight.keep.save import SAVE_KEY
from tests.napari.conftest import add_labels, assert_alive, blobs, messages, until
from tests.waiting import Gate
from ultralightunet import editing


def use(dock: Any, qtbot: Any, tool: str) -> None:
    """Click a tool and wait until it is done."""
    dock.correct.buttons[tool].native.click()
    until(qtbot, lambda: not dock.correct.is_running)


@pytest.mark.parametrize("scope", ["selected", "every"])
def test_each_tool_is_one_step_that_undo_takes_back_and_redo_repeats(open_dock: Any, qtbot: Any, scope: str) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs(), scale=(3, 1, 1), units="mm")
    labels.paint((12, 20, 18), 1)
    before = labels.data.copy()
    dock.correct.scope.value = scope
    assert len(dock.correct.buttons) == 7
    for tool in dock.correct.buttons:
        use(dock, qtbot, tool)
        after = labels.data.copy()
        assert not np.array_equal(before, after), tool
        assert f"{np.count_nonzero(before != after):,} voxels changed" in dock.correct.status
        labels.undo()
        assert np.array_equal(labels.data, before), tool
        labels.redo()
        assert np.array_equal(labels.data, after), tool
        labels.undo()
    assert messages() == []


def test_a_tool_does_what_the_core_does_with_the_voxels_size(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    spacing = (3, 1, 0.5)
    labels = add_labels(viewer, blobs(), scale=spacing, units="mm")
    before = labels.data.copy()
    dock.correct.radius.value = 1.5
    use(dock, qtbot, "smooth")
    assert np.array_equal(labels.data, editing.smooth(before, (1,), radius=1.5, spacing=spacing))
    labels.undo()
    dock.correct.smallest.value = 0.5
    dock.correct.scope.value = "every"
    use(dock, qtbot, "small")
    assert np.array_equal(labels.data, editing.remove_small(before, (1, 2), smallest=500, spacing=spacing))
    labels.undo()
    dock.correct.axis.value = 2
    use(dock, qtbot, "between")
    assert np.array_equal(labels.data, editing.fill_between(before, (1, 2), axis=2, spacing=spacing))


def test_filling_goes_along_the_axis_in_view_and_keeps_other_classes_if_napari_does(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    array = np.full((20, 30, 30), 2, np.uint8)
    array[10:18, 4, 5:15] = array[10:18, 24, 5:15] = 1
    labels = add_labels(viewer, array)
    viewer.dims.order = (1, 0, 2)
    labels.preserve_labels = True
    use(dock, qtbot, "between")
    assert "nothing to change" in dock.correct.status
    labels.preserve_labels = False
    use(dock, qtbot, "between")
    assert (labels.data[10:18, 4:25, 5:15] == 1).all()


def test_labels_that_are_deleted_meanwhile_are_left_alone(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    before = labels.data.copy()
    dock.correct.buttons["smooth"].native.click()
    viewer.layers.remove(labels)
    until(qtbot, lambda: not dock.correct.is_running)
    assert np.array_equal(labels.data, before)
    assert "removed meanwhile" in dock.correct.status
    assert messages() == []
    assert not dock.correct.buttons["smooth"].enabled


def test_what_is_painted_meanwhile_stays(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    dock.correct.buttons["erase"].native.click()
    spot = np.argwhere(labels.data == 1)[40]
    labels.data_setitem(tuple(np.array([n]) for n in spot), 2)
    until(qtbot, lambda: not dock.correct.is_running)
    assert labels.data[tuple(spot)] == 2
    assert not (labels.data == 1).any()


def test_the_viewer_stays_alive_while_a_tool_works(open_dock: Any, qtbot: Any, gate: Gate) -> None:
    viewer, dock = open_dock(show=True)
    add_labels(viewer, blobs())
    dock.correct.scope.value = "every"
    gate.before(editing, "smoothing")
    dock.correct.buttons["smooth"].native.click()
    until(qtbot, lambda: gate.is_reached)
    assert_alive(qtbot, lambda: dock.correct.is_running)
    gate.open()
    until(qtbot, lambda: not dock.correct.is_running)
    assert "voxels changed" in dock.correct.status


def test_the_tools_work_on_labels_of_a_picture_and_of_one_time_point(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    flat = add_labels(viewer, blobs((40, 36)), model="flat")
    use(dock, qtbot, "holes")
    assert "1 voxels changed" in dock.correct.status
    assert np.count_nonzero(flat.data == 1) == np.count_nonzero(blobs((40, 36)) == 1) + 1
    series = viewer.add_labels(np.stack([blobs(), blobs()]))
    viewer.layers.selection.active = series
    viewer.dims.set_point(0, 1)
    use(dock, qtbot, "largest")
    assert series.data[0, 0, 0, 0] == 1
    assert series.data[1, 0, 0, 0] == 0


def test_without_a_class_or_labels_the_next_step_is_said(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    assert not dock.correct.buttons["smooth"].enabled
    dock.correct.use("smooth")
    assert "segment an image" in messages()[-1]
    labels = add_labels(viewer, blobs())
    labels.selected_label = 0
    use(dock, qtbot, "smooth")
    assert "click a class" in messages()[-1]
    viewer.add_labels(blobs())
    assert not dock.correct.buttons["prediction"].enabled


def painted(labels: Labels, at: tuple[int, ...]) -> np.ndarray:
    """Extent in mm of what one touch of the brush paints, along each axis."""
    before = labels.data.copy()
    labels.paint(at, 2)
    where = np.argwhere(labels.data != before)
    return (np.ptp(where, axis=0) + 1) * np.asarray(labels.scale)


def test_a_3d_brush_is_a_ball_in_millimetres_however_thick_the_slices(open_dock: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, np.zeros((24, 60, 60), np.uint8), scale=(3, 1, 0.5), units="mm")
    dock.correct.brush_3d.value = True
    dock.correct.brush.value = 15
    assert painted(labels, (12, 30, 30)) == pytest.approx([15, 15, 15], abs=1.6)
    dock.correct.brush_3d.value = False
    assert painted(labels, (5, 30, 30)) == pytest.approx([3, 15, 15], abs=1.1)


def test_voxels_whose_size_stands_in_an_affine_get_a_round_brush_too(open_dock: Any) -> None:
    viewer, dock = open_dock()
    viewer.add_image(np.random.default_rng(0).random((24, 60, 60)), affine=np.diag([3, 1, 0.5, 1]), units="mm")
    labels = viewer.add_labels(np.zeros((24, 60, 60), np.uint8), affine=np.diag([3, 1, 0.5, 1]), units="mm")
    placed = labels.data_to_world((5, 6, 7))
    dock.correct.brush_3d.value = True
    dock.correct.brush.value = 15
    assert painted(labels, (12, 30, 30)) == pytest.approx([15, 15, 15], abs=1.6)
    assert np.allclose(labels.data_to_world((5, 6, 7)), placed)


def test_the_brush_in_mm_follows_naparis_own(open_dock: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs(), scale=(3, 0.5, 0.5), units="mm")
    labels.brush_size = 11
    assert dock.correct.brush.value == pytest.approx(5.5)
    labels.n_edit_dimensions = 3
    assert dock.correct.brush_3d.value
    dock.correct.brush.value = 8
    assert labels.brush_size in (15, 17)


def test_no_shortcut_of_the_dock_is_one_of_naparis(open_dock: Any) -> None:
    viewer, _ = open_dock()
    ours = [SEGMENT_KEY, CANCEL_KEY, BOX_KEY, SAVE_KEY, *KEYS.values()]
    assert len(set(ours)) == len(ours)
    taken = {str(key) for keys in action_manager._shortcuts.values() for key in keys}
    taken |= {str(key) for key in [*Labels.class_keymap, *type(viewer).class_keymap]}
    taken |= {action.shortcut().toString() for action in viewer.window._qt_window.findChildren(QAction)}
    known = {frozenset(key.replace("Control", "Ctrl").replace("-", "+").split("+")) for key in taken}
    assert any({"Ctrl", "Z"} <= key for key in known)
    for key in ours:
        assert frozenset(key.replace("Control", "Ctrl").split("-")) not in known


def test_a_tools_tooltip_says_its_key_and_the_key_does_it(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    for name, key in KEYS.items():
        assert key.replace("Control-Shift-", "Ctrl+Shift+") in dock.correct.buttons[name].tooltip
    qtbot.keyClick(viewer.window._qt_viewer, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    until(qtbot, lambda: "voxels changed" in dock.correct.status)
    assert labels.data[0, 0, 0] == 0
