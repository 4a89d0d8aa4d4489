"""Someone is at work: what they paint is kept, and nothing takes the brush, the keys or the values from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from tests.napari.conftest import (
    add_labels,
    blobs,
    click_segment,
    grey,
    labels_in,
    until,
)


def test_while_someone_paints_without_a_rest_drafts_are_written_and_the_mark_is_there_at_once(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    until(qtbot, lambda: dock.unsaved.is_settled)
    draft = dock.unsaved.folder.path_of(str(labels.unique_id))
    amount = dock.table.rows()[1][2]
    labels.paint((12, 5, 5), 2)
    assert "not saved" in dock.save.title
    strokes = 0
    while not draft.exists():
        labels.paint((12, 3 + strokes % 30, 5), 2)
        qtbot.wait(100)
        strokes += 1
        assert strokes < 300
    assert dock.table.rows()[1][2] != amount


def test_the_wheel_scrolls_the_dock_and_changes_nothing(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    viewer.window._qt_window.resize(1000, 500)
    add_labels(viewer, blobs())
    viewer.add_image(grey(), name="another")
    dock.correct.expand()
    qtbot.wait(200)
    parts = (dock.model.combo, dock.image.widget, dock.correct.smallest, dock.correct.radius, dock.correct.hole, dock.scope.combo)
    for part in parts:
        before = part.value
        for focus in (False, True):
            if focus:
                part.native.setFocus()
            for turn in (-120, 120, 120, -120, -120):
                at = QPointF(part.native.rect().center())
                event = QWheelEvent(
                    at,
                    part.native.mapToGlobal(at),
                    QPoint(),
                    QPoint(0, turn),
                    Qt.MouseButton.NoButton,
                    Qt.KeyboardModifier.NoModifier,
                    Qt.ScrollPhase.NoScrollPhase,
                    False,
                )
                QApplication.sendEvent(part.native, event)
                assert part.value == before
                # What nobody takes goes to what lies around: Qt hands it on to the dock, which scrolls.
                assert not event.isAccepted()


def test_a_run_that_ends_takes_nothing_from_someone_who_paints(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    dock.run.segment.native.click()
    viewer.layers.selection.active = labels
    labels.mode = "paint"
    until(qtbot, lambda: not dock.run.is_running)
    assert viewer.layers.selection.active is labels
    assert viewer.layers.selection == {labels}
    assert labels.mode == "paint"
    added = labels_in(viewer)[-1]
    assert added is not labels
    assert f"Select “{added.name}”" in dock.run.status
    labels.mode = "pan_zoom"
    click_segment(dock, qtbot)
    assert viewer.layers.selection.active is labels_in(viewer)[-1]


def test_labels_of_an_image_that_was_closed_do_not_land_on_the_next_patient(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    viewer.add_image(grey(), name="patient A")
    dock.run.segment.native.click()
    viewer.layers.clear()
    viewer.add_image(grey(seed=1), name="patient B")
    until(qtbot, lambda: not dock.run.is_running)
    assert labels_in(viewer) == []
    assert "closed meanwhile" in dock.run.status


def test_labels_of_an_image_that_was_removed_are_not_shown_over_another_one(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    image = viewer.add_image(grey(), name="patient A")
    dock.run.segment.native.click()
    other = viewer.add_image(grey(seed=1), name="patient B")
    viewer.layers.remove(image)
    until(qtbot, lambda: not dock.run.is_running)
    (labels,) = labels_in(viewer)
    assert not labels.visible
    assert viewer.layers.selection.active is not labels
    assert "hidden" in dock.run.status
    assert dock.image.layer is other


def test_labels_that_are_deleted_while_their_brush_is_on_lay_it_down(open_dock: Any) -> None:
    viewer, _ = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.mode = "paint"
    viewer.layers.remove(labels)
    assert labels.mode == "pan_zoom"
    labels = add_labels(viewer, blobs())
    labels.mode = "erase"
    viewer.layers.clear()
    assert labels.mode == "pan_zoom"


def test_a_tools_step_is_taken_back_while_the_image_is_selected(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    before = labels.data.copy()
    dock.correct.use("erase")
    until(qtbot, lambda: not dock.correct.is_running)
    assert "Ctrl+Z takes it back" in dock.correct.status
    erased = labels.data.copy()
    assert not np.array_equal(erased, before)
    viewer.layers.selection.active = viewer.layers["scan"]
    qtbot.keyClick(viewer.window._qt_viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(labels.data, before)
    qtbot.keyClick(viewer.window._qt_viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert np.array_equal(labels.data, erased)
    viewer.layers.selection.active = labels
    qtbot.keyClick(viewer.window._qt_viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    # Once, although napari has this key for labels as well.
    assert np.array_equal(labels.data, before)


def test_keys_go_to_naparis_tools_after_a_click_on_a_class_and_tab_leaves_the_table(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    viewer.window.activate()
    table = dock.table._table
    dock.correct.expand()
    dock.correct.radius.native.setFocus()
    dock.ensureWidgetVisible(table)
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualItemRect(table.item(1, 1)).center())
    assert labels.selected_label == 2
    canvas = viewer.window._qt_viewer.canvas.native
    until(qtbot, lambda: QApplication.focusWidget() is canvas)
    for key, mode in ((Qt.Key.Key_2, "paint"), (Qt.Key.Key_1, "erase"), (Qt.Key.Key_4, "fill")):
        QTest.keyClick(QApplication.focusWidget(), key)
        assert labels.mode == mode
    table.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(table, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is not table
