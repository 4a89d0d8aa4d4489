"""New classes, and tools that can be cancelled and taken back."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.experimental import link_layers
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QLabel

from tests.napari.conftest import (
    add_labels,
    blobs,
    save_correction,
    until,
)
from ultralightunet.models import LabelClass


def test_a_new_class_gets_the_label_that_was_painted(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    labels.selected_label = 5
    labels.paint((12, 20, 18), 5)
    asked: list[str] = []

    def fill_in() -> None:
        dialog = QApplication.activeModalWidget()
        asked.extend(label.text() for label in dialog.findChildren(QLabel))
        dialog.name.native.setText("lesion")
        dialog.accept()

    QTimer.singleShot(300, fill_in)
    dock.table.add.native.click()
    assert "5" in asked
    assert [(label, name) for label, name, _ in dock.table.rows()] == [
        (1, "part 1"),
        (2, "part 2"),
        (3, "class 3"),
        (4, "class 4"),
        (5, "lesion"),
    ]
    assert labels.selected_label == 5
    revision = save_correction(dock, qtbot)
    assert revision.classes[5].name == "lesion"
    assert (revision.labels().labels == 5).any()


def test_a_new_class_is_not_given_to_layers_that_are_linked(open_dock: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs())
    image = viewer.layers["scan"]
    before = dict(image.metadata)
    link_layers([labels, image])
    dock.table.add_class(LabelClass(3, "lesion", (200, 10, 150)))
    assert np.allclose(labels.get_color(3), (200 / 255, 10 / 255, 150 / 255, 1))
    assert image.metadata == before
    # What else they share they go on sharing.
    labels.opacity = 0.3
    assert image.opacity == 0.3


def test_a_tool_can_be_cancelled_and_says_how_far_it_is(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    labels = add_labels(viewer, blobs((48, 80, 72)))
    dock.correct.expand()
    dock.correct.scope.value = "every"
    before = labels.data.copy()
    said: list[str] = []
    dock.correct._job.progressed.connect(lambda event: said.append(dock.correct.status))
    dock.correct.radius.value = 3
    dock.correct.use("smooth")
    assert dock.correct.cancel.native.isVisibleTo(dock)
    dock.correct.cancel.native.click()
    until(qtbot, lambda: not dock.correct.is_running)
    assert "cancelled; nothing was changed" in dock.correct.status
    assert np.array_equal(labels.data, before)
    dock.correct.use("smooth")
    until(qtbot, lambda: not dock.correct.is_running)
    assert any(text.startswith("Smooth: 1 of ") for text in said)
    assert not dock.correct.cancel.native.isVisibleTo(dock)
    assert not np.array_equal(labels.data, before)


def test_undo_of_a_tool_keeps_little_memory_and_redo_works(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs((48, 80, 72)))
    before = labels.data.copy()
    dock.correct.scope.value = "every"
    dock.correct.use("erase")
    until(qtbot, lambda: not dock.correct.is_running)
    ((box, old, new),) = labels._undo_history[-1]
    assert old.nbytes + new.nbytes < np.count_nonzero(before) / 4
    assert all(isinstance(side, slice) for side in box)
    assert not labels.data.any()
    labels.undo()
    assert np.array_equal(labels.data, before)
    labels.redo()
    assert not labels.data.any()
