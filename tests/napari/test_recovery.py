"""Nothing that a person painted is lost: not by a crash, not by closing, not by deleting a layer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QCloseEvent

from napari_ultralight.drafts.drafts import DraftFolder
from tests.io_files import write_nii
from tests.napari.conftest import (
    PLUGIN,
    add_labels,
    answer,
    assert_alive,
    blobs,
    choose_model,
    click_segment,
    grey,
    labels_in,
    messages,
    until,
)
from tests.waiting import Gate

PAINTER = """
import sys
import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtGui import QCloseEvent

viewer = napari.Viewer(show=False)
viewer.open(sys.argv[1], plugin="napari-ultralight")
dock = viewer.window.add_plugin_dock_widget("napari-ultralight", "UltraLight")[1]
dock.model.combo.value = next(folder for folder in dock.model.combo.choices if "small" in folder)
dock.segment()

def paint():
    if dock.run.is_running:
        return
    timer.stop()
    labels = viewer.layers[-1]
    labels.data[:] = 0
    labels.data_setitem(tuple(np.array(at) for at in ([3, 4, 5], [6, 7, 8], [9, 10, 11])), 2)
    print("painted", flush=True)

timer = QTimer()
timer.timeout.connect(paint)
timer.start(50)
napari.run()
"""
"""A napari of its own, in which labels are painted and never saved."""


def drafts(home: Path) -> list[Path]:
    """The files that hold unsaved labels."""
    return list((home / "autosave").glob("*/*.draft"))


@pytest.mark.slow
def test_labels_survive_a_killed_napari(open_dock: Any, qtbot: Any, ultralight_home: Path, tmp_path: Path) -> None:
    path = write_nii(tmp_path / "head.nii.gz", grey(), np.diag([-1.0, 2.0, 3.0, 1.0]))
    process = subprocess.Popen([sys.executable, "-c", PAINTER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "painted"
        until(qtbot, lambda: drafts(ultralight_home))
        viewer, dock = open_dock()
        # While that napari lives, what it keeps is its own.
        assert dock.recovery.offers == []
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    viewer.window.remove_dock_widget(dock)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "UltraLight")
    (offer,) = dock.recovery.offers
    assert offer.name == "head - small"
    dock.recovery.bring_back.native.click()
    (labels,) = labels_in(viewer)
    expected = np.zeros(labels.data.shape, np.uint8)
    expected[[3, 4, 5], [6, 7, 8], [9, 10, 11]] = 2
    assert np.array_equal(labels.data, expected)
    image = viewer.layers["head"]
    assert np.allclose(labels.data_to_world((1, 2, 3)), image.data_to_world((1, 2, 3)))
    assert [name for _, name, _ in dock.table.rows()] == ["part 1", "part 2"]
    assert dock.save._correction().prediction() is not None
    assert dock.recovery.offers == []
    until(qtbot, lambda: dock.unsaved.layers == [labels])
    assert len(drafts(ultralight_home)) == 1
    assert messages() == []


def test_a_layer_that_was_deleted_by_mistake_is_brought_back(open_dock: Any, qtbot: Any, ultralight_home: Path) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    painted = labels.data.copy()
    viewer.layers.remove(labels)
    # Once they are on disk.
    until(qtbot, lambda: [draft.name for draft in dock.recovery.offers] == ["scan - small"])
    dock.recovery.bring_back.native.click()
    (again,) = labels_in(viewer)
    assert np.array_equal(again.data, painted)
    assert len([layer for layer in viewer.layers if layer.name == "scan"]) == 1


def test_a_saved_layer_that_is_deleted_is_not_offered(open_dock: Any, qtbot: Any, ultralight_home: Path) -> None:
    viewer, dock = open_dock()
    viewer.layers.remove(add_labels(viewer, blobs()))
    until(qtbot, lambda: dock.unsaved.is_settled)
    assert dock.recovery.offers == []
    assert drafts(ultralight_home) == []


def test_discarding_asks_and_then_deletes(open_dock: Any, qtbot: Any, ultralight_home: Path) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    viewer.layers.remove(labels)
    until(qtbot, lambda: dock.recovery.offers)
    asked = answer("Cancel")
    dock.recovery.discard.native.click()
    assert "for good" in asked[0]
    assert len(drafts(ultralight_home)) == 1
    answer("Delete")
    dock.recovery.discard.native.click()
    assert drafts(ultralight_home) == []
    assert dock.recovery.offers == []


ANSWERS = [("Cancel", False, 1), ("Save them…", False, 1), ("Keep for next time", True, 1), ("Discard", True, 0)]


@pytest.mark.parametrize(("button", "closes", "left"), ANSWERS)
def test_closing_the_window_asks_about_unsaved_labels(open_dock: Any, ultralight_home: Path, button: str, closes: bool, left: int) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    asked = answer(button)
    # napari's tests want to close the window themselves, so here only the question is asked that comes before it.
    is_refused = dock._closing.eventFilter(viewer.window._qt_window, QCloseEvent())
    assert "“scan - small” is not saved" in asked[0]
    assert is_refused is not closes
    assert len(drafts(ultralight_home)) == left
    assert dock.save.is_open is (button == "Save them…")


def test_a_window_stays_open_where_that_was_the_answer(open_dock: Any) -> None:
    viewer, _ = open_dock(show=True)
    add_labels(viewer, blobs()).paint((12, 20, 18), 2)
    answer("Cancel")
    viewer.window._qt_window.close()
    assert viewer.window._qt_window.isVisible()


def test_closing_the_window_asks_nothing_where_all_is_saved(open_dock: Any) -> None:
    viewer, dock = open_dock(show=True)
    add_labels(viewer, blobs())
    asked = answer("Cancel")
    assert not dock._closing.eventFilter(viewer.window._qt_window, QCloseEvent())
    assert asked == []


def test_closing_the_dock_tells_of_unsaved_labels_and_can_open_it_again(open_dock: Any, qtbot: Any, ultralight_home: Path) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    asked = answer("Open it again")
    viewer.window.remove_dock_widget(dock)
    docks = viewer.window._wrapped_dock_widgets
    until(qtbot, lambda: asked and docks)
    assert "not saved" in asked[0]
    again = docks["UltraLight (napari-ultralight)"].inner_widget()
    assert again is not dock
    # The layer is still there, so it need not be brought back.
    assert again.recovery.offers == []
    until(qtbot, lambda: again.unsaved.layers == [labels])
    assert len(drafts(ultralight_home)) == 1


def test_a_full_disk_is_told_and_painting_goes_on(open_dock: Any, qtbot: Any, ultralight_home: Path) -> None:
    viewer, dock = open_dock()
    (ultralight_home / "autosave").write_text("a file where a folder should be")
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    until(qtbot, lambda: "nor kept on disk" in dock.save.title)
    (ultralight_home / "autosave").unlink()
    labels.paint((12, 10, 18), 2)
    until(qtbot, lambda: dock.save.title.endswith("not saved"))
    assert len(drafts(ultralight_home)) == 1


def test_a_damaged_draft_does_not_keep_the_dock_from_opening(open_dock: Any, ultralight_home: Path) -> None:
    (ultralight_home / "autosave" / "gone").mkdir(parents=True)
    (ultralight_home / "autosave" / "gone" / "a.draft").write_bytes(b"PK\\x03\\x04 cut short")
    _, dock = open_dock()
    assert dock.recovery.offers == []
    assert len(drafts(ultralight_home)) == 1


def test_keeping_labels_does_not_hold_up_the_viewer(open_dock: Any, qtbot: Any, gate: Gate) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.data_setitem(np.nonzero(labels.data == 2), 1)
    gate.before(DraftFolder, "write")
    until(qtbot, lambda: gate.is_reached)
    assert_alive(qtbot, lambda: not dock.unsaved.is_settled)
    gate.open()
    until(qtbot, lambda: dock.unsaved.is_settled)
    assert dock.unsaved.layers == [labels]


def test_segmenting_goes_on_after_labels_were_brought_back(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    viewer.layers.remove(labels)
    until(qtbot, lambda: dock.recovery.offers)
    dock.recovery.bring_back.native.click()
    choose_model(dock, "small")
    click_segment(dock, qtbot)
    assert len(labels_in(viewer)) == 2
