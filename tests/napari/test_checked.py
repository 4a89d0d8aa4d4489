"""What was checked is what someone has looked at: a box or a slice that was segmented is no whole image, and a name is no patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_ultralight.keep.checked import Extent
from napari_ultralight.segment.scope import Scope
from tests.napari.conftest import (
    add_labels,
    blobs,
    choose_model,
    click_segment,
    draw_box,
    labels_in,
    messages,
    open_head,
    save_correction,
    until,
)
from ultralightunet.corrections import Store, default_store
from ultralightunet.events import finish
from ultralightunet.exports import exporting
from ultralightunet.io import read_labels


def test_only_the_box_that_was_segmented_counts_as_checked_and_is_exported_so(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    image = open_head(viewer, tmp_path)
    draw_box(dock)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    box = np.zeros(labels.data.shape, bool)
    box[5:15, 8:31, 6:27] = True
    labels.data_setitem((np.array([9]), np.array([20]), np.array([20])), (int(labels.data[9, 20, 20]) + 1) % 3)
    dock.save.expand()
    assert dock.save.checked.combo.value is Extent.ASKED
    assert dock.save.checked.combo.current_choice == "The box that was segmented"
    count = f"of {np.count_nonzero(box):,} checked"
    until(qtbot, lambda: count in dock.save.summary.text)
    revision = save_correction(dock, qtbot)
    grid = dock.save._correction().picture.grid
    assert np.array_equal(revision.checked(), grid.to_native(box))
    assert revision.voxels_checked == np.count_nonzero(box)
    folder = finish(exporting(Store(default_store("small")), tmp_path / "out", format="nnunet"))
    (exported,) = (folder / "labelsTr").glob("*.nii.gz")
    ignored = read_labels(exported).labels == 3
    assert np.array_equal(ignored, ~grid.to_native(box))
    assert image in viewer.layers


def test_only_the_slice_that_was_segmented_counts_as_checked(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    open_head(viewer, tmp_path)
    choose_model(dock, "flat")
    dock.scope.combo.value = Scope.SLICE
    viewer.dims.set_current_step(0, 7)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    labels.data_setitem((np.array([7]), np.array([20]), np.array([20])), (int(labels.data[7, 20, 20]) + 1) % 3)
    dock.save.expand()
    assert dock.save.checked.combo.current_choice == "The slice that was segmented"
    revision = save_correction(dock, qtbot)
    checked = np.zeros(labels.data.shape, bool)
    checked[7] = True
    assert np.array_equal(revision.checked(), dock.save._correction().picture.grid.to_native(checked))


def test_what_was_checked_is_kept_for_each_layer_and_stays_on_its_axis(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    open_head(viewer, tmp_path)
    click_segment(dock, qtbot)
    draw_box(dock)
    click_segment(dock, qtbot)
    whole, boxed = labels_in(viewer)
    checked = dock.save.checked
    assert checked.combo.value is Extent.ASKED
    viewer.layers.selection.active = whole
    assert checked.combo.value is Extent.ALL
    assert Extent.ASKED not in checked.combo.choices
    checked.combo.value = Extent.RANGE
    checked.first.value, checked.last.value = 3, 5
    viewer.dims.order = (1, 0, 2)
    viewer.layers.selection.active = boxed
    viewer.layers.selection.active = whole
    assert (checked.combo.value, checked.axis.value) == (Extent.RANGE, 0)
    # The file's axes run the other way.
    assert checked.checked() == {0: [18, 19, 20]}


def test_marking_a_slice_in_3d_is_told_in_a_sentence(open_dock: Any) -> None:
    viewer, dock = open_dock(show=True)
    add_labels(viewer, blobs())
    dock.save.expand()
    dock.save.checked.combo.value = Extent.MARKED
    viewer.dims.ndisplay = 3
    dock.save.checked.mark.native.click()
    assert "switch napari to 2D" in messages()[-1]


def test_the_patient_is_that_of_the_scan_and_not_of_its_name(open_dock: Any) -> None:
    viewer, dock = open_dock()
    add_labels(viewer, blobs())
    dock.save.patient.native.setText("4711")
    viewer.layers.clear()
    add_labels(viewer, blobs())
    assert viewer.layers["scan"]
    assert dock.save.patient.value == ""
