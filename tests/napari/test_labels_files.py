"""Labels into files from the dock and from napari, and back as labels that ask for their scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog

from napari_ultralight.files.reader import get_reader
from napari_ultralight.files.writer import write
from tests.io_files import write_nii
from tests.napari.conftest import (
    PLUGIN,
    add_labels,
    blobs,
    click_segment,
    grey,
    labels_in,
    open_head,
    save_correction,
    until,
)
from ultralightunet.corrections import Store, default_store
from ultralightunet.events import finish
from ultralightunet.exports import exporting
from ultralightunet.io import read_image, read_labels


@pytest.mark.parametrize("name", ["lab", "lab.nii.gz", "lab.v2", "lab.nrrd"])
def test_labels_are_saved_from_the_dock_with_the_suffix_and_the_name_that_were_typed(
    open_dock: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    viewer, dock = open_dock(show=True)
    open_head(viewer, tmp_path)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    labels.paint((12, 20, 18), 2)
    proposed: list[str] = []

    def typed(parent: Any, title: str, start: str, filters: str) -> tuple[str, str]:
        proposed.append(start)
        return str(tmp_path / name), filters.split(";;")[0]

    monkeypatch.setattr(QFileDialog, "getSaveFileName", typed)
    dock.save_labels.button.native.click()
    until(qtbot, lambda: not dock.save_labels.is_running)
    # Beside the image, whose format it is.
    assert proposed == [str(tmp_path / "head - small.nii.gz")]
    written = tmp_path / (name if name.endswith((".nii.gz", ".nrrd")) else f"{name}.nii.gz")
    assert str(written) in dock.save_labels.status
    found = read_labels(written)
    whole = read_image(tmp_path / "head.nii.gz")
    assert np.allclose(found.affine, whole.affine)
    assert np.array_equal(found.labels, labels.data[::-1, ::-1])
    until(qtbot, lambda: "not saved" not in dock.save.title)


def test_naparis_own_dialog_may_hand_over_a_name_without_suffix(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    open_head(viewer, tmp_path)
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    assert write(str(tmp_path / "head - small"), *labels.as_layer_data_tuple()[:2]) == [str(tmp_path / "head - small.nii.gz")]
    assert (tmp_path / "head - small.nii.gz").exists()


def test_labels_that_are_written_from_one_of_two_viewers_are_marked_as_saved_there(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    labels = add_labels(viewer, blobs())
    labels.paint((12, 20, 18), 2)
    assert "not saved" in dock.save.title
    open_dock()
    labels.save(str(tmp_path / "labels.nii.gz"), plugin=PLUGIN)
    until(qtbot, lambda: "not saved" not in dock.save.title)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_saved_labels_open_as_labels_with_names_and_colours_and_know_their_scan(
    open_dock: Any, qtbot: Any, tmp_path: Path, suffix: str
) -> None:
    viewer, dock = open_dock(show=True)
    image = open_head(viewer, tmp_path)
    click_segment(dock, qtbot)
    (made,) = labels_in(viewer)
    path = tmp_path / f"labels{suffix}"
    made.save(str(path), plugin=PLUGIN)
    (opened,) = viewer.open(str(path), plugin=PLUGIN)
    assert isinstance(opened, Labels)
    assert np.array_equal(opened.data, made.data)
    assert np.allclose(opened.translate, made.translate)
    viewer.layers.selection.active = opened
    assert [row[:2] for row in dock.table.rows()] == [(1, "part 1"), (2, "part 2")]
    assert np.allclose(opened.get_color(1), made.get_color(1))
    # One scan alone lies where they do.
    assert dock.belongs.isVisible()
    assert dock.belongs.scan.value is image
    assert dock.image.layer is image
    opened.paint((12, 20, 18), 2)
    revision = save_correction(dock, qtbot)
    assert revision.prediction() is None
    assert np.array_equal(revision.image().array, read_image(tmp_path / "head.nii.gz").array)


def test_labels_that_may_belong_to_two_scans_are_not_saved_before_one_is_chosen(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    image = open_head(viewer, tmp_path)
    click_segment(dock, qtbot)
    labels_in(viewer)[0].save(str(tmp_path / "labels.nrrd"), plugin=PLUGIN)
    viewer.layers.clear()
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    scans = [
        viewer.open(str(write_nii(tmp_path / f"{name}.nii.gz", grey(seed=seed), affine)), plugin=PLUGIN)[0]
        for seed, name in enumerate(("first", "second"))
    ]
    (opened,) = viewer.open(str(tmp_path / "labels.nrrd"), plugin=PLUGIN)
    viewer.layers.selection.active = opened
    assert dock.belongs.scan.value is None
    dock.save.expand()
    dock.save.save.native.click()
    assert "which scan" in dock.save.status
    assert not Store(default_store("small")).exists
    dock.belongs.scan.value = scans[1]
    opened.paint((12, 20, 18), 2)
    revision = save_correction(dock, qtbot)
    assert np.array_equal(revision.image().array, read_image(tmp_path / "second.nii.gz").array)
    assert image not in viewer.layers


def test_a_segmentation_of_slicer_opens_as_labels(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock()
    open_head(viewer, tmp_path)
    click_segment(dock, qtbot)
    (made,) = labels_in(viewer)
    made.paint((12, 20, 18), 2)
    save_correction(dock, qtbot)
    folder = finish(exporting(Store(default_store("small")), tmp_path / "out", format="seg-nrrd"))
    (path,) = folder.rglob("*.seg.nrrd")
    (opened,) = viewer.open(str(path), plugin=PLUGIN)
    assert isinstance(opened, Labels)
    assert np.array_equal(opened.data, made.data)
    assert [c["name"] for c in opened.metadata["ultralight"]["classes"]] == ["background", "part 1", "part 2"]
    assert np.allclose(opened.get_color(2), made.get_color(2), atol=0.01)


def test_the_command_palette_may_run_the_reader_without_a_file() -> None:
    assert get_reader() is None
