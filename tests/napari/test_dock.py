"""The dock in a real viewer, driven as a user drives it, with real models that have random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt

from tests.io_files import random_affine, write_nii
from tests.napari.conftest import PLUGIN, amounts, assert_alive, choose_model, click_segment, grey, labels_in, messages, until
from tests.waiting import Gate
from ultralightunet import segment
from ultralightunet.engines.openvino_engine import OpenVINOEngine
from ultralightunet.io import read_image, read_labels


def test_a_click_gives_labels_that_are_the_same_as_without_a_gui(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    path = write_nii(tmp_path / "head.nii.gz", grey(), random_affine(np.random.default_rng(1)))
    (image,) = viewer.open(str(path), plugin=PLUGIN)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    assert labels.name == "head - small"
    assert viewer.layers.selection.active is labels
    assert np.allclose(labels.data_to_world((1, 2, 3)), image.data_to_world((1, 2, 3)))
    assert dock.run.status.startswith("Done in")
    assert labels.data.any()
    labels.save(str(tmp_path / "labels.nii.gz"), plugin=PLUGIN)
    alone = segment(path, "small")
    found = read_labels(tmp_path / "labels.nii.gz")
    assert np.array_equal(found.labels, alone.labels)
    assert np.allclose(found.affine, alone.affine, atol=1e-4)
    assert messages() == []


WINDOWS = 18
"""Of the small model, in an image of 48x64x64 voxels: 2x3x3."""


def start_and_wait_in_the_second_window(viewer: Any, dock: Any, qtbot: Any, gate: Gate) -> None:
    """One window is done; the network is held up in the next."""
    gate.before(OpenVINOEngine, "__call__")
    viewer.add_image(grey((48, 64, 64)))
    dock.run.segment.native.click()
    gate.let_one_pass()
    until(qtbot, lambda: dock.run.status == f"Segmenting: 1 of {WINDOWS}")


def test_progress_moves_and_the_viewer_stays_alive(open_dock: Any, qtbot: Any, gate: Gate) -> None:
    viewer, dock = open_dock(show=True)
    start_and_wait_in_the_second_window(viewer, dock, qtbot, gate)
    for done in (1, 2, 3):
        until(qtbot, lambda done=done: dock.run.status == f"Segmenting: {done} of {WINDOWS}")
        assert (dock.run.progress.value, dock.run.progress.max) == (done, WINDOWS)
        assert_alive(qtbot, lambda: dock.run.is_running)
        gate.let_one_pass()
    gate.open()
    until(qtbot, lambda: not dock.run.is_running)
    assert gate.passed == WINDOWS
    assert not dock.run.cancel.enabled
    assert dock.run.segment.enabled


def test_cancel_ends_it_within_a_window_and_adds_nothing(open_dock: Any, qtbot: Any, gate: Gate) -> None:
    viewer, dock = open_dock()
    start_and_wait_in_the_second_window(viewer, dock, qtbot, gate)
    assert not dock.run.segment.enabled
    dock.run.cancel.native.click()
    gate.open()
    until(qtbot, lambda: not dock.run.is_running)
    assert gate.passed == 2
    assert dock.run.status == "Cancelled"
    assert labels_in(viewer) == []
    viewer.add_image(grey())
    click_segment(dock, qtbot)
    assert len(labels_in(viewer)) == 1


def test_a_second_run_keeps_what_was_painted(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    viewer.add_image(grey(), name="scan")
    click_segment(dock, qtbot)
    first = labels_in(viewer)[0]
    first.selected_label = 2
    first.paint((12, 20, 18), 2)
    painted = first.data.copy()
    click_segment(dock, qtbot)
    first_again, second = labels_in(viewer)
    assert first_again is first
    assert np.array_equal(first.data, painted)
    assert not np.array_equal(second.data, painted)
    assert second.name != first.name
    assert second.name.startswith("scan - small")


def test_what_is_painted_is_what_is_saved(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    path = write_nii(tmp_path / "scan.nii.gz", grey(), np.diag([-1.0, 2.0, 3.0, 1.0]))
    viewer.open(str(path), plugin=PLUGIN)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    labels.selected_label = 1
    labels.brush_size = 9
    labels.paint((3, 10, 10), 1)
    viewer.layers.save(str(tmp_path / "corrected.nii.gz"), selected=True)
    found = read_labels(tmp_path / "corrected.nii.gz")
    # The file's axes run to left, front and head, the shown ones to foot, back and left.
    assert np.array_equal(found.labels, labels.data[::-1, ::-1])
    assert np.allclose(found.affine, read_image(path).affine)


def test_the_table_follows_the_brush_and_undo(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    viewer.add_image(grey(), scale=(10, 1, 1), units="mm")
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    expected = {label: f"{np.count_nonzero(labels.data == label) * 0.01:,.2f}" for label in (1, 2)}
    until(qtbot, lambda: amounts(dock) == expected)
    labels.data_setitem(np.nonzero(labels.data == 2), 1)
    until(qtbot, lambda: amounts(dock)[2] == "0.00")
    labels.undo()
    until(qtbot, lambda: amounts(dock) == expected)
    labels.data_setitem((np.array([0]), np.array([0]), np.array([0])), 7)
    until(qtbot, lambda: amounts(dock).get(7) == "0.01")


def test_clicking_a_class_selects_it_for_painting(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    image = viewer.add_image(grey())
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    viewer.layers.selection.active = image
    table = dock.table._table
    spot = table.visualItemRect(table.item(1, 1)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert labels.selected_label == 2
    assert viewer.layers.selection.active is labels
    labels.selected_label = 1
    assert table.currentRow() == 0


def test_the_table_shows_the_labels_that_are_selected(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    viewer.add_image(grey(), name="one")
    click_segment(dock, qtbot)
    viewer.add_image(grey(seed=1), name="two")
    click_segment(dock, qtbot)
    first, second = labels_in(viewer)
    assert dock.table.layer is second
    viewer.layers.selection.active = first
    assert dock.table.layer is first
    viewer.layers.remove(first)
    until(qtbot, lambda: dock.table.layer is not first)


def test_deleting_renaming_and_adding_layers_meanwhile_is_safe(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    image = viewer.add_image(grey((48, 64, 64)), name="scan")
    dock.run.segment.native.click()
    image.name = "another name"
    viewer.add_image(grey(seed=5), name="scan")
    viewer.layers.remove(image)
    until(qtbot, lambda: not dock.run.is_running)
    (labels,) = labels_in(viewer)
    assert labels.name == "scan - small"
    assert labels.data.shape == (48, 64, 64)
    assert dock.image.layer is viewer.layers["scan"]


def test_closing_the_viewer_meanwhile_cancels(open_dock: Any, qtbot: Any, gate: Gate) -> None:
    viewer, dock = open_dock(show=True)
    start_and_wait_in_the_second_window(viewer, dock, qtbot, gate)
    worker = dock.run._job.worker
    viewer.close()
    gate.open()
    until(qtbot, lambda: not worker.is_running)
    assert worker.abort_requested
    assert gate.passed == 2


def test_closing_the_dock_meanwhile_cancels_and_it_can_be_opened_again(open_dock: Any, qtbot: Any, gate: Gate) -> None:
    viewer, dock = open_dock(show=True)
    start_and_wait_in_the_second_window(viewer, dock, qtbot, gate)
    viewer.window.remove_dock_widget(dock)
    gate.open()
    until(qtbot, lambda: not dock.run.is_running)
    assert gate.passed == 2
    viewer.add_image(grey())
    assert labels_in(viewer) == []
    _, again = viewer.window.add_plugin_dock_widget(PLUGIN, "UltraLight")
    choose_model(again, "small")
    click_segment(again, qtbot)
    assert len(labels_in(viewer)) == 1


def test_image_layers_come_and_go_in_the_list_as_objects(open_dock: Any) -> None:
    viewer, dock = open_dock()
    assert dock.image.layer is None
    first, second = viewer.add_image(grey(), name="a"), viewer.add_image(grey(), name="b")
    viewer.add_points(np.zeros((1, 3)))
    assert list(dock.image.widget.choices) == [first, second]
    assert dock.image.layer is second
    first.name = "renamed"
    assert dock.image.widget.native.findText("renamed") >= 0
    viewer.layers.remove(second)
    assert dock.image.layer is first
