"""Saving corrections in a real viewer: what reaches the store, what is shown before, and what stays responsive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_ultralight.keep.checked import Extent
from tests.io_files import random_affine, write_nii
from tests.napari.conftest import PLUGIN, add_labels, answer, assert_alive, blobs, click_segment, grey, labels_in, messages, until
from tests.waiting import Gate
from ultralightunet.corrections import Store, default_store
from ultralightunet.io import read_image
from ultralightunet.models import LabelClass


def save(dock: Any, qtbot: Any) -> None:
    """Open the part of the dock, click Save and wait until all is over."""
    dock.save.expand()
    dock.save.save.native.click()
    until(qtbot, lambda: not dock.save.is_running)


def touch(labels: Any, at: tuple[int, ...]) -> None:
    """Paint a voxel with another label than it has."""
    labels.data_setitem(tuple(np.array([n]) for n in at), (int(labels.data[at]) + 1) % 3)


def test_what_is_saved_is_what_was_painted_on_the_files_own_grid(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    path = write_nii(tmp_path / "head.nii.gz", grey(), random_affine(np.random.default_rng(2)))
    viewer.open(str(path), plugin=PLUGIN)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    predicted = labels.data.copy()
    touch(labels, (12, 20, 18))
    save(dock, qtbot)
    (revision,) = Store(default_store("small")).cases()
    native = dock.save._correction().picture.grid.to_native
    assert np.array_equal(revision.labels().labels, native(labels.data))
    assert np.array_equal(revision.prediction().labels, native(predicted))
    assert np.array_equal(revision.image().array, read_image(path).array)
    assert revision.model == "small@1.0.0"
    assert revision.checked() is None
    assert revision.case[:8] in dock.save.status
    touch(labels, (12, 10, 10))
    save(dock, qtbot)
    assert "revision 2" in dock.save.status
    assert len(Store(default_store("small")).revisions()) == 2
    assert messages() == []


def test_what_changed_is_shown_before_it_is_saved(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    array = blobs()
    labels = add_labels(viewer, array, scale=(10, 1, 1), units="mm")
    dock.save.expand()
    until(qtbot, lambda: "0</b> voxels changed" in dock.save.summary.text)
    where = np.nonzero(array == 2)
    labels.data_setitem(where, 1)
    count = len(where[0])
    until(qtbot, lambda: f"{count:,}</b> voxels changed" in dock.save.summary.text)
    ones, twos = np.count_nonzero(array == 1), np.count_nonzero(array == 2)
    first, second = dock.save.summary.rows()
    assert first == ("part 1", f"{ones / 100:,.2f}", f"{(ones + twos) / 100:,.2f}", f"{2 * ones / (2 * ones + twos):.3f}")
    assert second == ("part 2", f"{twos / 100:,.2f}", "0.00", "0.000")
    dock.save.checked.combo.value = Extent.RANGE
    dock.save.checked.first.value = dock.save.checked.last.value = 3
    until(qtbot, lambda: "of 1,440 checked" in dock.save.summary.text)
    assert not Store(default_store("small")).exists


def test_the_shortcut_shows_what_changed_and_then_saves(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(viewer.window._qt_viewer, Qt.Key.Key_K, modifiers)
    assert dock.save.is_open
    assert not dock.save.is_running
    qtbot.keyClick(viewer.window._qt_viewer, Qt.Key.Key_K, modifiers)
    until(qtbot, lambda: dock.save.status.startswith("Saved"))
    assert "Ctrl+Shift+K" in dock.save.save.tooltip


def test_only_the_slices_that_were_checked_count(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    path = write_nii(tmp_path / "head.nii.gz", grey(), np.diag([-1.0, -1.0, 2.0, 1.0]))
    viewer.open(str(path), plugin=PLUGIN)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    touch(labels, (12, 20, 18))
    dock.save.expand()
    dock.save.checked.combo.value = Extent.MARKED
    viewer.dims.set_current_step(0, 12)
    dock.save.checked.mark.native.click()
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 7)
    dock.save.checked.mark.native.click()
    save(dock, qtbot)
    (revision,) = Store(default_store("small")).cases()
    checked = np.zeros(labels.data.shape, bool)
    checked[12] = checked[:, 7] = True
    assert np.array_equal(revision.checked(), dock.save._correction().picture.grid.to_native(checked))
    dock.save.checked.combo.value = Extent.RANGE
    dock.save.checked.first.value, dock.save.checked.last.value = 3, 5
    touch(labels, (12, 4, 18))
    save(dock, qtbot)
    (revision,) = Store(default_store("small")).cases()
    checked = np.zeros(labels.data.shape, bool)
    checked[:, 3:6] = True
    assert np.array_equal(revision.checked(), dock.save._correction().picture.grid.to_native(checked))


def test_labels_drawn_by_hand_are_saved_without_a_prediction(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    path = write_nii(tmp_path / "head.nii.gz", grey(), np.diag([-1.0, 2.0, 3.0, 1.0]))
    (image,) = viewer.open(str(path), plugin=PLUGIN)
    drawn = viewer.add_labels(np.zeros(image.data.shape, np.uint8), scale=image.scale, translate=image.translate, units=image.units)
    viewer.layers.selection.active = drawn
    assert dock.table.adopt.native.isVisibleTo(dock)
    drawn.brush_size = 9
    drawn.paint((3, 10, 11), 2)
    save(dock, qtbot)
    (revision,) = Store(default_store("small")).cases()
    assert revision.prediction() is None
    # The file's axes run to left, front and head, the shown ones to foot, back and left.
    assert np.array_equal(revision.labels().labels, drawn.data[::-1, ::-1])
    assert [c.name for c in revision.classes] == ["background", "part 1", "part 2"]
    assert dock.table.layer is drawn


def test_labels_that_changed_nothing_or_are_empty_are_saved_only_if_a_person_says_so(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    asked = answer("Cancel")
    save(dock, qtbot)
    assert "as the model predicted" in asked[0]
    assert not Store(default_store("small")).exists
    asked = answer("Save")
    save(dock, qtbot)
    until(qtbot, lambda: dock.save.status.startswith("Saved"))
    labels.data_setitem(np.nonzero(labels.data), 0)
    asked = answer("Cancel")
    save(dock, qtbot)
    assert "no labels at all" in asked[0]
    assert len(Store(default_store("small")).revisions()) == 1


def test_saving_does_not_hold_up_the_viewer(open_dock: Any, qtbot: Any, gate: Gate) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    dock.save.expand()
    gate.before(Store, "add")
    dock.save.save.native.click()
    labels.paint((3, 5, 5), 1)
    until(qtbot, lambda: gate.is_reached)
    assert_alive(qtbot, lambda: dock.save.is_running)
    labels.paint((3, 30, 5), 1)
    gate.open()
    until(qtbot, lambda: not dock.save.is_running)
    (revision,) = Store(default_store("small")).cases()
    # What was painted meanwhile is not in it, and stays unsaved.
    assert revision.labels().labels[3, 5, 5] == 0
    assert revision.labels().labels[3, 30, 5] == 0
    assert dock.unsaved.layers == [labels]


def test_the_mark_tells_of_unsaved_labels_until_they_are_saved_or_undone(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    until(qtbot, lambda: dock.unsaved.is_settled)
    assert "not saved" not in dock.save.title
    labels.paint((12, 20, 18), 2)
    until(qtbot, lambda: "not saved" in dock.save.title)
    labels.undo()
    until(qtbot, lambda: "not saved" not in dock.save.title)
    labels.redo()
    until(qtbot, lambda: "not saved" in dock.save.title)
    save(dock, qtbot)
    until(qtbot, lambda: "not saved" not in dock.save.title)
    assert list(dock.unsaved.folder.folder.glob("*.draft")) == []


def test_labels_written_to_a_file_are_saved_as_well(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    until(qtbot, lambda: "not saved" in dock.save.title)
    labels.save(str(tmp_path / "labels.nii.gz"), plugin=PLUGIN)
    until(qtbot, lambda: "not saved" not in dock.save.title)


def test_a_new_class_is_painted_and_saved_with_its_name_and_colour(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    lesion = LabelClass(3, "lesion", (200, 10, 150))
    dock.table.add_class(lesion)
    assert labels.selected_label == 3
    assert np.allclose(labels.get_color(3), (200 / 255, 10 / 255, 150 / 255, 1))
    assert [name for _, name, _ in dock.table.rows()] == ["part 1", "part 2", "lesion"]
    labels.paint((12, 20, 18), 3)
    save(dock, qtbot)
    (revision,) = Store(default_store("small")).cases()
    assert revision.classes[3] == lesion
    assert (revision.labels().labels == 3).any()


def test_the_next_image_does_not_inherit_the_patient(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    first = add_labels(viewer, blobs())
    dock.save.patient.native.setText("4711")
    viewer.layers["scan"].name = "first"
    add_labels(viewer, blobs()[::-1])
    second = viewer.layers.selection.active
    second.metadata = {**second.metadata, "ultralight": {**second.metadata["ultralight"], "image": "another"}}
    viewer.layers.selection.active = first
    viewer.layers.selection.active = second
    assert dock.save.patient.value == ""
    viewer.layers.selection.active = first
    assert dock.save.patient.value == "4711"


def test_a_store_of_ones_own_is_remembered_and_other_folders_are_refused(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("Dear")
    dock.save.store.choose(tmp_path / "full")
    assert "other things" in messages()[-1]
    dock.save.store.choose(tmp_path / "mine")
    labels.paint((12, 20, 18), 2)
    save(dock, qtbot)
    assert len(Store(tmp_path / "mine").cases()) == 1
    viewer.window.remove_dock_widget(dock)
    _, again = viewer.window.add_plugin_dock_widget(PLUGIN, "UltraLight")
    assert again._stores.of("small") == tmp_path / "mine"


@pytest.mark.parametrize(("form", "file"), [("nnunet", "dataset.json"), ("bids", "dataset_description.json")])
def test_export_writes_the_format_into_a_folder_of_its_own(open_dock: Any, qtbot: Any, tmp_path: Path, form: str, file: str) -> None:
    viewer, dock = open_dock()
    dock.save.export.export_to(tmp_path)
    assert "save one first" in messages()[-1]
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    save(dock, qtbot)
    (tmp_path / "other.txt").write_text("there before")
    dock.save.export.format.value = form
    for folder in (f"small-{form}", f"small-{form}-2"):
        dock.save.export.export_to(tmp_path)
        until(qtbot, lambda: not dock.save.export.is_running)
        assert list((tmp_path / folder).rglob(file)), dock.save.export.status
        assert str(tmp_path / folder) in dock.save.export.status


def test_dicom_segmentations_want_their_series(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    save(dock, qtbot)
    dock.save.export.format.value = "dicom-seg"
    assert dock.save.export.source.native.isVisibleTo(dock.save.export)
    dock.save.export.export_to(tmp_path / "out")
    assert "Source…" in messages()[-1]
    (tmp_path / "series").mkdir()
    dock.save.export.use_source(tmp_path / "series")
    dock.save.export.export_to(tmp_path / "out")
    until(qtbot, lambda: not dock.save.export.is_running)
    assert "DICOM series of every case" in dock.save.export.status
    assert not (tmp_path / "out").exists()
