"""What the dock says of an image and a model, and of a viewer without a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.io_files import write_nii
from tests.napari.conftest import (
    PLUGIN,
    choose_model,
    click_segment,
    grey,
    labels_in,
    messages,
    until,
)


def test_a_ct_for_a_model_of_mr_is_warned_of_before_and_after(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    values = np.full((24, 40, 36), -1000, np.int16)
    values[6:18, 8:30, 8:28] = 40
    values[9:12, 12:20, 12:20] = 900
    path = write_nii(tmp_path / "chest.nii.gz", values, np.eye(4))
    viewer.open(str(path), plugin=PLUGIN)
    assert dock.doubts.isVisible()
    assert "found CT" in dock.doubts.text()
    click_segment(dock, qtbot)
    assert any("found CT" in message for message in messages())
    assert "found CT" in dock.run.status
    viewer.add_image(grey())
    assert not dock.doubts.isVisible()


@pytest.mark.parametrize("width", [1590, 1000])
def test_the_card_of_a_model_is_never_cut_off(open_dock: Any, qtbot: Any, width: int) -> None:
    viewer, dock = open_dock(show=True)
    viewer.window._qt_window.resize(width, 700)
    card = dock.model._card
    for name in ("brain-anatomy", "polyp", "hippocampus", "breast-lesion", "brain", "small"):
        dock.model.combo.value = next(folder for folder in dock.model.combo.choices if name in Path(folder).parts)
        # Neither cut off, nor with a gap left by a longer one.
        until(qtbot, lambda: card.height() == card.heightForWidth(card.width()))
        until(qtbot, lambda: dock.segmenting.height() == dock.segmenting.sizeHint().height())


def test_slices_of_a_colour_stack_are_not_called_time_points(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    choose_model(dock, "colour")
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), np.uint8), rgb=True, name="frames")
    viewer.dims.set_current_step(0, 3)
    click_segment(dock, qtbot)
    assert labels_in(viewer)[0].name == "frames z=3 - colour"


def test_the_dock_works_on_a_viewer_without_a_window(models: Path, qtbot: Any) -> None:
    from napari.components import ViewerModel

    from napari_ultralight._widget import UltraLightWidget

    viewer = ViewerModel()
    dock = UltraLightWidget(viewer)
    qtbot.addWidget(dock)
    choose_model(dock, "small")
    viewer.add_image(grey(), name="scan")
    click_segment(dock, qtbot)
    assert len(labels_in(viewer)) == 1
    dock.unsaved.forget(labels_in(viewer))
