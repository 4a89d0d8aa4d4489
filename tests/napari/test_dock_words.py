"""What the dock says and shows, and what is left when something goes wrong."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_ultralight.keep.checked import Extent
from napari_ultralight.segment.scope import Scope
from tests.napari.conftest import add_labels, blobs, choose_model, click_segment, grey, labels_in, messages, until
from tests.small_models import small_model
from ultralightunet.models import load_model


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((24, 40, 36), np.nan, np.float32), "Fill missing with"),
        (np.ones((24, 40, 36), np.float32), "contrast"),
        (np.random.default_rng(0).normal(size=(40, 36)).astype(np.float32), "volume"),
    ],
)
def test_what_is_wrong_with_an_image_is_said_in_one_sentence(open_dock: Any, qtbot: Any, array: np.ndarray, words: str) -> None:
    viewer, dock = open_dock()
    viewer.add_image(array, contrast_limits=(0, 1))
    click_segment(dock, qtbot)
    assert words in messages()[-1]
    assert "--" not in messages()[-1]
    assert dock.run.status == messages()[-1]
    assert dock.run.segment.enabled
    assert labels_in(viewer) == []


def test_missing_voxels_are_filled_where_that_is_ticked(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    array = grey()
    array[0, 0, 0] = np.nan
    viewer.add_image(array, contrast_limits=(0, 500))
    dock.options.fill.value = True
    click_segment(dock, qtbot)
    assert len(labels_in(viewer)) == 1


def test_without_an_image_or_a_model_the_next_step_is_said(open_dock: Any, qtbot: Any, models: Path) -> None:
    _, dock = open_dock()
    click_segment(dock, qtbot)
    assert "Open Sample" in messages()[-1]
    assert not dock.run.is_running


def test_a_damaged_model_is_told_and_the_dock_goes_on(open_dock: Any, qtbot: Any, models: Path) -> None:
    viewer, dock = open_dock()
    viewer.add_image(grey())
    weights = models / "small" / "1.0.0" / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    click_segment(dock, qtbot)
    assert "sha256" in messages()[-1]
    choose_model(dock, "flat")
    click_segment(dock, qtbot)
    assert len(labels_in(viewer)) == 1


def test_an_unexpected_failure_is_shown_and_the_dock_goes_on(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()

    def broken(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("the disk went away")

    viewer.add_image(grey())
    picture, request = dock._request()
    failing = replace(picture, data=da.from_array(grey(), chunks=(24, 40, 36)).map_blocks(broken, dtype=np.float32))
    dock.run.start(failing, request)
    until(qtbot, lambda: not dock.run.is_running)
    assert "the disk went away" in messages()[-1]
    assert notification_manager.records[-1].exception is not None
    click_segment(dock, qtbot)
    assert len(labels_in(viewer)) == 1


def test_a_models_card_says_what_it_is_for(open_dock: Any) -> None:
    _, dock = open_dock()
    card = dock.model._card.text()
    for words in ("a small model for tests", "MR", "3D", "part 1", "small@1.0.0", "CC0-1.0", "Tests only."):
        assert words in card


def test_a_users_own_model_folder_is_added_and_chosen(open_dock: Any, tmp_path: Path) -> None:
    _, dock = open_dock()
    small_model(tmp_path / "mine", name="mine", seed=9)
    dock.model.add_folder(tmp_path / "mine")
    assert dock.model.model.name == "mine"
    shutil.rmtree(tmp_path / "mine")
    assert load_model("mine").weights()
    dock.model.add_folder(tmp_path)
    assert "expected a model folder" in messages()[-1].lower()
    assert dock.model.model.name == "mine"


def test_keys_on_the_viewer_do_what_their_tooltips_say(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    viewer.add_image(grey())
    canvas = viewer.window._qt_viewer
    qtbot.keyClick(canvas, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert dock.run.is_running
    until(qtbot, lambda: not dock.run.is_running)
    assert len(labels_in(viewer)) == 1
    assert "Ctrl+Shift+G" in dock.run.segment.tooltip


def test_nothing_in_the_dock_is_clipped_at_its_minimum_width(open_dock: Any) -> None:
    viewer, dock = open_dock(show=True)
    choose_model(dock, "flat")
    viewer.add_image(grey())
    dock.options.expand()
    dock.scope.combo.value = Scope.BOX
    QApplication.processEvents()
    bar = dock.verticalScrollBar().sizeHint().width()
    assert dock.widget().minimumSizeHint().width() + bar <= dock.minimumWidth()
    add_labels(viewer, blobs())
    dock.save.checked.combo.value = Extent.RANGE
    dock.save.export.format.value = "dicom-seg"
    for fold in (dock.correct, dock.save, dock.improve):
        fold.expand()
        dock.improve.versions.select(0)
        QApplication.processEvents()
        assert dock.widget().minimumSizeHint().width() + bar <= dock.minimumWidth()


def test_everything_one_can_use_has_a_tooltip(open_dock: Any) -> None:
    _, dock = open_dock()
    widgets = [dock.image.widget, dock.model.combo, dock.model.add, dock.scope.combo, dock.scope.across, dock.scope.draw, dock.scope.first]
    widgets += [dock.scope.last, dock.options.device, dock.options.fill, dock.options.fill_value, dock.options.step, dock.options.spare]
    widgets += [dock.options._change, dock.run.segment, dock.run.cancel, dock.run.progress]
    assert all(len(widget.tooltip) > 20 for widget in widgets)


def test_one_core_is_left_to_the_viewer_where_that_is_ticked(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    viewer.add_image(grey())
    click_segment(dock, qtbot)
    assert dock.options.arguments()["threads"] is None
    dock.options.spare.value = True
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert dock.options.arguments()["threads"] == max(1, cores - 1)
    click_segment(dock, qtbot)
    first, second = labels_in(viewer)
    assert np.array_equal(first.data, second.data)
    assert messages() == []


def test_the_research_notice_is_visible(open_dock: Any) -> None:
    from qtpy.QtWidgets import QLabel

    _, dock = open_dock(show=True)
    QApplication.processEvents()
    (notice,) = [label for label in dock.findChildren(QLabel) if label.text().startswith("Research use only")]
    assert notice.isVisible()
