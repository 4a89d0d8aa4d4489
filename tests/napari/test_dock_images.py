"""Which images the dock takes, and which part of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_ultralight.layers.grid import KEY
from napari_ultralight.segment.scope import Scope
from tests.io_files import random_affine, write_nii
from tests.napari.conftest import PLUGIN, amounts, choose_model, click_segment, grey, labels_in, messages, until
from ultralightunet import segment
from ultralightunet.models import load_model


@pytest.mark.parametrize("kind", ["dask", "multiscale", "with an affine", "of integers"])
def test_layers_of_every_kind_can_be_segmented(open_dock: Any, qtbot: Any, kind: str) -> None:
    viewer, dock = open_dock()
    array = grey()
    if kind == "dask":
        viewer.add_image(da.from_array(array, chunks=(8, 40, 36)))
    elif kind == "multiscale":
        viewer.add_image([array, array[::2, ::2, ::2]], multiscale=True)
    elif kind == "with an affine":
        viewer.add_image(array, affine=np.diag([2.0, 1.0, 1.5, 1.0]))
    else:
        viewer.add_image(array.clip(0).astype(np.uint16))
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    assert labels.data.shape == array.shape
    assert labels.extent.world == pytest.approx(viewer.layers[0].extent.world)


def test_of_a_time_series_the_shown_time_point_is_segmented(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    series = np.stack([np.zeros((24, 40, 36), np.float32), grey(), grey(seed=1)])
    viewer.add_image(series, name="film")
    viewer.dims.set_current_step(0, 2)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    assert labels.name == "film t=2 - small"
    assert labels.metadata[KEY]["index"] == [2]
    assert np.array_equal(labels.data[0], segment(series[2], "small").labels)
    assert labels.data_to_world((0, 0, 0, 0))[0] == 2


def test_flat_grey_and_colour_pictures_are_segmented(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    choose_model(dock, "flat")
    viewer.add_image(grey((50, 60)))
    click_segment(dock, qtbot)
    choose_model(dock, "colour")
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (50, 60, 3), dtype=np.uint8), rgb=True)
    click_segment(dock, qtbot)
    assert [layer.data.shape for layer in labels_in(viewer)] == [(50, 60), (50, 60)]
    assert messages() == []
    until(qtbot, lambda: "…" not in amounts(dock).values())
    assert dock.table._table.horizontalHeaderItem(2).text() == "Pixels"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_with_a_flat_model_only_the_slice_in_view_is_labelled(open_dock: Any, qtbot: Any, tmp_path: Path, axis: int) -> None:
    viewer, dock = open_dock()
    choose_model(dock, "flat")
    viewer.open(str(write_nii(tmp_path / "scan.nii.gz", grey(), random_affine(np.random.default_rng(6)))), plugin=PLUGIN)
    viewer.dims.order = (axis, *(other for other in range(3) if other != axis))
    viewer.dims.set_current_step(axis, 7)
    dock.scope.combo.value = Scope.SLICE
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    labelled = {int(index) for index in np.unique(np.nonzero(labels.data)[axis])}
    assert labelled == {7}


def test_with_a_flat_model_every_slice_across_a_chosen_axis_is_labelled(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    choose_model(dock, "flat")
    array = grey((12, 40, 36))
    viewer.add_image(array)
    click_segment(dock, qtbot)
    dock.scope.across.value = 1
    click_segment(dock, qtbot)
    in_view, across_rows = labels_in(viewer)
    model = load_model("flat")
    assert np.array_equal(in_view.data, segment(array, model, axis=0).labels)
    assert np.array_equal(across_rows.data, segment(array, model, axis=1).labels)


def test_in_a_3d_view_a_slice_is_asked_for_in_words(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    choose_model(dock, "flat")
    viewer.add_image(grey())
    dock.scope.combo.value = Scope.SLICE
    viewer.dims.ndisplay = 3
    click_segment(dock, qtbot)
    assert "2D" in messages()[-1]
    assert labels_in(viewer) == []


def test_only_the_drawn_box_is_labelled(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    viewer.open(str(write_nii(tmp_path / "scan.nii.gz", grey((40, 48, 44)), np.diag([-2.0, 2.0, 2.0, 1.0]))), plugin=PLUGIN)
    dock.scope.combo.value = Scope.BOX
    click_segment(dock, qtbot)
    assert "Draw box" in messages()[-1]
    dock.scope.draw.native.click()
    assert viewer.layers.selection.active.mode == "add_rectangle"
    box = viewer.layers.selection.active
    box.add_rectangles(np.array([[20, 5, 6], [20, 5, 30], [20, 30, 30], [20, 30, 6]]))
    dock.scope.first.value, dock.scope.last.value = 10, 35
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    inside = (slice(10, 36), slice(5, 31), slice(6, 31))
    assert labels.data[inside].any()
    assert np.count_nonzero(labels.data) == np.count_nonzero(labels.data[inside])
    assert labels.metadata[KEY]["facts"]["box"] == [[4, 30], [17, 43], [6, 31]]
