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
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HARNESS, CHECKOUT = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
PICTURES = Path(sys.argv[3]) if len(sys.argv) > 3 else None
sys.path[:0] = [str(HARNESS), str(CHECKOUT)]

# isort: off
import slicer_harness as harness  # noqa: E402 - before what it stands in for
import ctk  # noqa: E402
import numpy as np  # noqa: E402
import PySide6.QtCore as Core  # noqa: E402
import PySide6.QtGui as Gui  # noqa: E402
import PySide6.QtWidgets as Widgets  # noqa: E402
import qt  # noqa: E402
import slicer  # noqa: E402
import vtk  # noqa: E402
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


def give_the_editor_its_undo() -> None:
    """The stand-in of the Segment Editor has no history; Slicer's own logic behind the widget has."""
    history = slicer.vtkSlicerSegmentEditorLogic()

    def save(self: Any) -> None:
        if history.GetSegmentEditorNode() is not self.mrmlSegmentEditorNode():
            history.SetMRMLScene(slicer.mrmlScene)
            history.SetSegmentEditorNode(self.mrmlSegmentEditorNode())
        history.SaveStateForUndo()

    slicer.qMRMLSegmentEditorWidget.saveStateForUndo = save
    slicer.qMRMLSegmentEditorWidget.undo = lambda self: history.Undo()


def click(*places: tuple[float, float, float]) -> None:
    """Place points in the world with what is in hand, as a mouse does; a stroke or a box is finished by that."""
    application = slicer.app.applicationLogic()
    mouse = application.GetInteractionNode()
    assert mouse.GetCurrentInteractionMode() == mouse.Place
    node = slicer.mrmlScene.GetNodeByID(application.GetSelectionNode().GetActivePlaceNodeID())
    for place in places:
        node.AddControlPointWorld(vtk.vtkVector3d(*place))
    if not mouse.GetPlaceModePersistence():
        mouse.SwitchToViewTransformMode()


def point_at_a_tumour(widget: Any) -> None:
    """Label a tumour by a click, a stroke and a box, into a segment of a new segmentation, and take it back with the editor's Undo."""
    ui, pointing = widget.ui, widget.logic.pointing
    volume, tumour = load_volume("tumour_mri_1.nrrd"), load_volume("tumour_mri_1_tumour.nrrd")
    truth = slicer.util.arrayFromVolume(tumour) > 0
    slicer.mrmlScene.RemoveNode(tumour)
    number = int(truth.sum((1, 2)).argmax())
    rows, columns = np.nonzero(truth[number])
    middle = (int(np.median(rows)), int(np.median(columns[rows == int(np.median(rows))])))

    def world(row: int, column: int) -> tuple[float, float, float]:
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        return matrix.MultiplyPoint((column, row, number, 1))[:3]

    def answered() -> None:
        until(lambda: not pointing.is_busy)
        assert "Take over" in ui.pointStatus.text, ui.pointStatus.text

    widget.panel.use_scene()
    choice = widget.panel._choice
    choice.volume = volume
    ui.sliceOnlyCheckBox.click()
    assert choice.sliceOnly
    ui.pointAddButton.click()
    assert ui.pointAddButton.checked, ui.pointStatus.text
    until(lambda: not pointing.is_busy)
    click(world(*middle))
    answered()
    assert pointing.mask.on([[n, n + 1] for n in (number, *middle)]).all()
    assert len(pointing.marks) == 1
    ui.strokeRemoveButton.click()
    assert not ui.pointAddButton.checked
    edge = max(0, int(rows.min()) - 6)
    click(world(edge, middle[1] - 4), world(edge, middle[1] + 4))
    answered()
    ui.boxAddButton.click()
    click(world(int(rows.min()) - 2, int(columns.min()) - 2), world(int(rows.max()) + 2, int(columns.max()) + 2))
    answered()
    ui.undoPromptButton.click()
    until(lambda: not pointing.is_busy)
    assert len(pointing.marks) == 2
    mask = pointing.mask.on([[0, n] for n in truth.shape])
    overlap = 2 * (mask & truth)[number].sum() / (mask[number].sum() + truth[number].sum())
    assert overlap > 0.5, overlap
    preview = widget.panel.point_at.preview.node
    assert (preview.GetSaveWithScene(), preview.GetHideFromEditors()) == (0, 1)
    ui.takeOverButton.click()
    node = choice.segmentation
    assert widget.panel.editor.widget.segmentationNode() is node
    (name,) = node.GetSegmentation().GetSegmentIDs()
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, name, volume) != 0, mask)
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsNode") or ui.boxAddButton.checked
    print("pointed at a tumour:", ui.pointStatus.text)
    click(world(int(rows.min()) - 2, int(columns.min()) - 2), world(int(rows.max()) + 2, int(columns.max()) + 2))
    answered()
    show(ui.pointSection)
    ui.segmentSection.collapsed = ui.learnSection.collapsed = ui.logSection.collapsed = ui.keepSection.collapsed = True
    picture("slicer-point", widget)
    ui.clearPointButton.click()
    widget.panel.editor.widget.undo()
    found = slicer.util.arrayFromSegmentBinaryLabelmap(node, name, volume)
    assert found is None or not found.any()
    ui.boxAddButton.click()
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsNode")


def export_to_dicom(widget: Any) -> None:
    """Read a series, paint a segment on it, keep that, and write it as DICOM SEG, with the panel's buttons; others read it."""
    if find_spec("highdicom") is None:
        print("DICOM SEG was not tried: there is no highdicom")
        return
    import highdicom
    from UltraLightSegmenterLib.keeping import DICOM_SEG, FORMATS

    from tests.io_files import dicom_series

    ui = widget.ui
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "series", Path(folder) / "exported"
        stack = np.random.default_rng(0).integers(0, 900, (6, 40, 44)).astype(np.uint16)
        dicom_series(source, stack, RescaleIntercept=-1024, RescaleSlope=1, PatientName="Secret^Name")
        volume = load_volume("CT", sorted(source.iterdir()))
        qt.QFileDialog.getExistingDirectory = lambda parent, title, start: str(source if "DICOM" in title else target)
        widget.panel._choice.volume, widget.panel._choice.segmentation = volume, None
        widget.panel.keeping.choose_store("brain", f"{folder}/store")
        widget.panel._show_store()
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn")
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        node.GetSegmentation().AddEmptySegment("Segment_1", "brain")
        painted = np.zeros(stack.shape, np.uint8)
        painted[2:5, 10:20, 12:30] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "Segment_1", volume)
        widget.panel._choice.segmentation = node
        until(lambda: not widget.logic.is_waiting)
        ui.saveButton.click()
        until(lambda: not widget.logic.is_waiting)
        assert "Saved as" in ui.keepStatus.text, ui.keepStatus.text
        ui.formatSelector.currentIndex = list(FORMATS).index(DICOM_SEG)
        ui.dicomButton.click()
        ui.exportButton.click()
        until(lambda: not widget.logic.is_waiting)
        assert ui.keepStatus.text.startswith("Exported 1 case(s)"), ui.keepStatus.text
        (path,) = target.iterdir()
        found = highdicom.seg.segread(path)
        assert found.get_segment_description(1).segment_label == "brain"
        assert int(np.count_nonzero(found.pixel_array)) == int(painted.sum())
        assert b"Secret" not in path.read_bytes()
        # Slicer's settings outlive this run.
        widget.panel.keeping.choose_store("brain", "")
    print("wrote DICOM SEG:", ui.keepStatus.text)


def show(section: Any) -> None:
    """Unfold a section of the stand-ins, which hide nothing by themselves."""
    section.collapsed = False
    for child in Core.QObject.children(section):
        if isinstance(child, Widgets.QWidget):
            child.setVisible(True)


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


def load_volume(name: str, series: Sequence[Path] = ()) -> Any:
    """A sample, or the files of a series, through Slicer's own reader."""
    kind = "vtkMRMLNRRDStorageNode" if name.endswith(".nrrd") else "vtkMRMLVolumeArchetypeStorageNode"
    storage = slicer.mrmlScene.AddNewNodeByClass(kind)
    storage.SetFileName(str(series[0] if series else CHECKOUT / "sample_data" / name))
    for file in series:
        storage.AddFileName(str(file))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name.partition(".")[0])
    assert storage.ReadData(node)
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node


def main() -> None:
    paint_stand_ins()
    give_the_editor_its_undo()
    _, module, widget = harness.load(str(CHECKOUT / "slicer_extension" / "UltraLightSegmenter" / "UltraLightSegmenter.py"))
    ui, logic = widget.ui, widget.logic
    assert "Research use only" in module.parent.helpText
    harness.enter(widget)
    until(lambda: not logic.is_waiting)
    print("set up and entered")

    point_at_a_tumour(widget)
    slicer.mrmlScene.Clear()
    for section in (ui.segmentSection, ui.keepSection):
        show(section)
    widget.panel.keeping.show_format()
    ui.pointSection.collapsed = True

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
        show(section)
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
    export_to_dicom(widget)

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
