"""Drives the module in the harness, on Slicer's own Python sources: setup, enter, every button, scene close, save and reload.

SLICER_SRC=... python tests/slicer/drive.py HARNESS CHECKOUT [PICTURES]

Prints one line for each step that went well; an assertion ends it. With a folder PICTURES it leaves screenshots of the panel there.
Run in a process of its own, because the harness is a whole Slicer to it (`test_harness.py` does so).
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HARNESS, CHECKOUT = Path(sys.argv[1]), Path(sys.argv[2])
PICTURES = Path(sys.argv[3]) if len(sys.argv) > 3 else None
sys.path.insert(0, str(HARNESS))

# isort: off
import slicer_harness as harness  # noqa: E402 - before what it stands in for
import ctk  # noqa: E402
import numpy as np  # noqa: E402
import PySide6.QtCore as Core  # noqa: E402
import PySide6.QtGui as Gui  # noqa: E402
import PySide6.QtWidgets as Widgets  # noqa: E402
import slicer  # noqa: E402
# isort: on

HEADER = 26


def until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        harness.spin(0.05)


def paint_stand_ins() -> None:
    """Let the stand-ins, which draw nothing, look like what they stand for."""

    def header(self: Any, event: Any) -> None:
        painter = Gui.QPainter(self)
        area = Core.QRect(0, 0, self.width, HEADER - 4)
        painter.fillRect(area, Gui.QColor("#d8dde3"))
        painter.setPen(Gui.QColor("#20242a"))
        painter.drawText(area.adjusted(8, 0, 0, 0), Core.Qt.AlignVCenter, ("▸  " if self.collapsed else "▾  ") + self.text)

    ctk.ctkCollapsibleButton.paintEvent = header

    def combo(self: Any, event: Any) -> None:
        painter = Widgets.QStylePainter(self)
        option = Widgets.QStyleOptionComboBox()
        option.initFrom(self)
        node = self.currentNode()
        option.currentText = node.GetName() if node is not None else "None"
        painter.drawComplexControl(Widgets.QStyle.CC_ComboBox, option)
        painter.drawControl(Widgets.QStyle.CE_ComboBoxLabel, option)

    slicer.qMRMLNodeComboBox.paintEvent = combo

    def editor(self: Any, event: Any) -> None:
        painter = Gui.QPainter(self)
        painter.setPen(Gui.QPen(Gui.QColor("#9aa0a6"), 1, Core.Qt.DashLine))
        painter.drawRect(0, 0, self.width - 1, self.height - 1)
        painter.setPen(Gui.QColor("#60666d"))
        node = self.segmentationNode() if self.mrmlSegmentEditorNode() else None
        lines = ["Slicer's Segment Editor"]
        if node is not None:
            segmentation = node.GetSegmentation()
            for row, name in enumerate(segmentation.GetSegmentIDs()):
                segment = segmentation.GetSegment(name)
                painter.fillRect(12, 34 + 22 * row, 14, 14, Gui.QColor.fromRgbF(*segment.GetColor()))
                lines.append(f"      {segment.GetName()}")
        for row, line in enumerate(lines):
            painter.drawText(12, 24 + 22 * row, line)

    slicer.qMRMLSegmentEditorWidget.paintEvent = editor


def picture(name: str, widget: Any) -> None:
    """A screenshot of the panel at a width that docks have."""
    if PICTURES is None:
        return
    for section in vars(widget.ui).values():
        if type(section).__name__ == "ctkCollapsibleButton":
            section.layout().setContentsMargins(8, HEADER, 4, 4)
            for child in Core.QObject.children(section):
                if isinstance(child, Widgets.QWidget) and section.collapsed:
                    child.setVisible(False)
            section.setMaximumHeight(HEADER if section.collapsed else 16777215)
    for part in vars(widget.ui).values():
        if type(part).__name__ == "qMRMLNodeComboBox":
            part.setMinimumHeight(22)
    widget.panel.editor.widget.setMinimumHeight(90)
    panel = widget.parent
    panel.setStyleSheet("QWidget { font-size: 12px; }")
    panel.resize(470, 10)
    panel.show()
    harness.spin(0.3)
    panel.resize(470, Widgets.QWidget.sizeHint(panel).height())
    harness.spin(0.3)
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert Widgets.QWidget.grab(panel).save(str(PICTURES / f"{name}.png"))


def load_volume(name: str) -> Any:
    """A sample, through Slicer's own reader."""
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(CHECKOUT / "sample_data" / name))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name.partition(".")[0])
    assert storage.ReadData(node)
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node


def main() -> None:
    paint_stand_ins()
    _, module, widget = harness.load(str(CHECKOUT / "slicer_extension" / "UltraLightSegmenter" / "UltraLightSegmenter.py"))
    ui, logic = widget.ui, widget.logic
    assert "Research use only" in module.parent.helpText
    harness.enter(widget)
    until(lambda: not logic.is_waiting)
    print("set up and entered")

    ui.segmentButton.click()
    assert "Expected a volume, found none" in ui.statusLabel.text
    volume = load_volume("colin27_t1.nii.gz")
    widget.panel.use_scene()
    choice = widget.panel._choice
    assert choice.volume is volume
    ui.modelSelector.currentIndex = widget.panel.models.ids.index(next(n for n in widget.panel.models.ids if n.startswith("brain@")))
    assert choice.model.startswith("brain@")
    ui.segmentButton.click()
    assert ui.cancelButton.enabled
    until(lambda: not logic.is_segmenting)
    first = choice.segmentation
    assert first is not None, ui.statusLabel.text
    assert ui.segmentationSelector.currentNode() is first
    assert widget.panel.editor.widget.segmentationNode() is first
    print("segmented:", ui.statusLabel.text)

    until(lambda: not logic.is_waiting)
    picture("slicer-panel", widget)

    ui.segmentButton.click()
    until(lambda: not logic.is_segmenting)
    assert choice.segmentation is not first
    print("segmented once more, into another segmentation:", ui.statusLabel.text)

    ui.segmentButton.click()
    ui.cancelButton.click()
    until(lambda: not logic.is_segmenting)
    assert ui.statusLabel.text == "Cancelled; nothing was added"
    print("cancelled")

    node = choice.segmentation
    labels = slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_1", volume).copy()
    labels[:70] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(labels, node, "Segment_1", volume)
    ui.saveButton.click()
    until(lambda: not logic.is_waiting)
    assert "Saved as" in ui.keepStatus.text, ui.keepStatus.text
    for section in (ui.learnSection, ui.logSection):
        section.collapsed = False
        for child in Core.QObject.children(section):
            if isinstance(child, Widgets.QWidget):
                child.setVisible(True)
    ui.segmentSection.collapsed = True
    picture("slicer-corrections", widget)
    print("kept a correction:", ui.keepStatus.text)

    ui.scopeSelector.currentIndex = 2
    ui.stepBox.value = 0.8
    assert choice.scope.name == "ROI"
    with tempfile.TemporaryDirectory() as folder:
        for number, saved in enumerate(slicer.util.getNodesByClass("vtkMRMLStorableNode")):
            if saved.IsA("vtkMRMLVolumeNode") or saved.IsA("vtkMRMLSegmentationNode"):
                suffix = "seg.nrrd" if saved.IsA("vtkMRMLSegmentationNode") else "nrrd"
                assert save(saved, Path(folder) / f"{number}.{suffix}")
        slicer.mrmlScene.SetURL(f"{folder}/scene.mrml")
        assert slicer.mrmlScene.Commit()
        slicer.mrmlScene.Clear()
        assert widget.panel._choice.segmentation is None
        assert widget.panel._choice.volume is None
        print("closed the scene")
        assert slicer.mrmlScene.Import()
        choice = widget.panel._choice
        assert (choice.scope.name, round(choice.step, 3), ui.stepBox.value) == ("ROI", 0.8, 0.8)
        found = slicer.util.arrayFromSegmentBinaryLabelmap(choice.segmentation, "Segment_1", choice.volume)
        np.testing.assert_array_equal(found != 0, labels != 0)
    print("saved the scene and opened it again")

    harness.leave(widget)
    assert widget.panel._choice is None
    harness.enter(widget)
    ui.scopeSelector.currentIndex = 0
    ui.segmentButton.click()
    slicer.mrmlScene.Clear()
    assert "The scene was closed while a volume was being segmented" in ui.statusLabel.text
    print("closed the scene during a run")

    editor = widget.panel.editor.widget
    widget.cleanup()
    assert not logic.worker.is_running
    assert editor.mrmlSegmentEditorNode() is None
    slicer.mrmlScene.Clear()
    print("cleaned up")


def save(node: Any, path: Path) -> bool:
    """Write a node to a file that the scene will name."""
    storage = node.GetStorageNode()
    if storage is None:
        storage = node.CreateDefaultStorageNode()
        slicer.mrmlScene.AddNode(storage)
        node.SetAndObserveStorageNodeID(storage.GetID())
    storage.SetFileName(str(path))
    return bool(storage.WriteData(node))


if __name__ == "__main__":
    main()
