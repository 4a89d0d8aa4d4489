"""A box is what was drawn, whatever is looked at meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_ultralight.segment.scope import Scope
from tests.napari.conftest import (
    CORNERS,
    PLUGIN,
    click_segment,
    labels_in,
    messages,
    open_head,
    until,
)


def test_a_box_keeps_its_slices_whatever_is_looked_at_meanwhile(open_dock: Any, tmp_path: Path, qtbot: Any) -> None:
    viewer, dock = open_dock(show=True)
    image = open_head(viewer, tmp_path)

    def chosen() -> tuple[int, int]:
        return dock.scope.first.value, dock.scope.last.value

    dock.scope.combo.value = Scope.BOX
    dock.scope.first.value, dock.scope.last.value = 5, 14
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    assert chosen() == (5, 14)
    dock.scope.draw.native.click()
    dock.scope._shapes.add_rectangles(CORNERS)
    assert chosen() == (5, 14)
    viewer.add_image(np.zeros((9, 9, 9)))
    dock.image.widget.value = image
    assert chosen() == (5, 14)
    viewer.dims.order = (1, 0, 2)
    assert chosen() == (5, 14)
    assert dock.scope._slices_across.text() == "Slices z"
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    found = [(int(where.min()), int(where.max())) for where in np.nonzero(labels.data)]
    assert found == [(5, 14), (8, 30), (6, 26)]
    viewer.window.remove_dock_widget(dock)
    viewer.layers.selection.active = image
    _, again = viewer.window.add_plugin_dock_widget(PLUGIN, "UltraLight")
    assert again.scope.combo.value is Scope.BOX
    assert (again.scope.first.value, again.scope.last.value) == (5, 14)


def test_one_click_is_no_box(open_dock: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, dock = open_dock(show=True)
    open_head(viewer, tmp_path)
    dock.scope.draw.native.click()
    canvas = viewer.window._qt_viewer.canvas.native
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())
    until(qtbot, lambda: not len(dock.scope._shapes.data))
    click_segment(dock, qtbot)
    assert "none drawn" in messages()[-1]
    middle = canvas.rect().center()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    for step in (10, 25, 40):
        QTest.mouseMove(canvas, middle + QPoint(step, step), 20)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(40, 40))
    qtbot.wait(100)
    assert len(dock.scope._shapes.data) == 1
