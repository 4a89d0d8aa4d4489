"""The 3D Slicer module UltraLightSegmenter: segment a volume, correct the labels, retrain. See `UltraLightSegmenterLib`."""

from __future__ import annotations

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin
from UltraLightSegmenterLib.core import core_environment, python_command
from UltraLightSegmenterLib.editor import Editor
from UltraLightSegmenterLib.logic import UltraLightSegmenterLogic as _Logic
from UltraLightSegmenterLib.packages import Packages, install_into_slicer
from UltraLightSegmenterLib.panel import Panel
from UltraLightSegmenterLib.problem import notice
from UltraLightSegmenterLib.process import Worker
from UltraLightSegmenterLib.samples import register_samples
from UltraLightSegmenterLib.settings import use_data_folder


class UltraLightSegmenter(ScriptedLoadableModule):
    """What Slicer lists."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("UltraLight Segmenter")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "SegmentEditor"]
        parent.contributors = ["The UltraLight contributors"]
        parent.helpText = _(
            "Choose a volume and a model and click Segment: a segmentation with named segments appears, on an ordinary computer, without a "
            "GPU or a network connection. Where no model fits, point at a structure. Correct with the Segment Editor below, keep the "
            "correction, and retrain the model from what you kept. The tutorial is docs/slicer.md in the extension's repository."
        )
        parent.helpText += f"<p><b>{notice()}</b></p>"
        parent.acknowledgementText = _(
            "The network is UltraLightUNet (published as MK-UNet): Md Mostafijur Rahman, Radu Marculescu: MK-UNet: Multi-kernel "
            "Lightweight CNN for Medical Image Segmentation, ICCV Workshops 2025, arXiv 2509.18493. Please cite it if you use this module. "
            "Each model and each sample carries its own licence."
        )
        use_data_folder()
        slicer.app.connect("startupCompleted()", register_samples)


class UltraLightSegmenterLogic(_Logic):
    """The logic with Slicer's own Python beneath it; other modules may use it, and call its `poll` from a timer."""

    def __init__(self):
        folder = Path(slicer.app.temporaryPath)
        super().__init__(
            Worker(python_command, core_environment),
            Worker(python_command, core_environment),
            folder=folder if folder.is_dir() else None,
        )


class UltraLightSegmenterWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel.

    Attributes:
        logic: does the work.
        panel: connects it with the widgets.
        ui: the widgets by name.
    """

    def __init__(self, parent=None, *, logic=None, packages=None):
        VTKObservationMixin.__init__(self)
        self.logic = logic
        self.packages = packages or Packages(_ask, install_into_slicer)
        self.panel = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        """The module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/UltraLightSegmenter.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = self.logic or UltraLightSegmenterLogic()
        editor = slicer.qMRMLSegmentEditorWidget()
        self.ui.correctSection.layout().addWidget(editor)
        self.panel = Panel(self.ui, self.logic, self.packages, Editor(editor))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, lambda caller, event: self.panel.leave_scene())
        self.addObserver(scene, scene.EndCloseEvent, self._take_up_scene)
        self.addObserver(scene, scene.EndImportEvent, self._take_up_scene)

    def cleanup(self):
        """Slicer closes, or the module is reloaded."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()
            self.panel = None

    def enter(self):
        """The module is shown."""
        self.panel.enter()

    def exit(self):
        """Another module is shown."""
        self.panel.exit()

    def onReload(self):
        """Reload the module with everything that it is made of."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "UltraLightSegmenterLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def _take_up_scene(self, caller, event):
        if self.parent.isEntered:
            self.panel.use_scene()


def _ask(question):
    return slicer.util.confirmOkCancelDisplay(question, windowTitle=_("UltraLight"))


class UltraLightSegmenterTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer: Reload and Test, or CTest. It needs the packages, and says so where they are missing."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Every test."""
        self.setUp()
        self.test_a_volume_becomes_a_segmentation_with_its_geometry()
        self.setUp()
        self.test_a_click_finds_the_object_under_it()

    def test_a_volume_becomes_a_segmentation_with_its_geometry(self):
        """Segment a small volume with the shipped model, and compare grids."""
        from UltraLightSegmenterLib.selftest import segment_a_ball

        self.delayDisplay("Segmenting a small volume")
        volume, segmentation = self._with_logic(segment_a_ball)
        if volume is None:
            return
        assert segmentation is not None
        labels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "Segment_1", volume)
        assert labels.shape == slicer.util.arrayFromVolume(volume).shape
        self.delayDisplay("Test passed")

    def test_a_click_finds_the_object_under_it(self):
        """Point at the middle of a ball, and see that it is found."""
        from UltraLightSegmenterLib.selftest import point_at_a_ball

        self.delayDisplay("Pointing at a ball")
        volume, mask = self._with_logic(point_at_a_ball)
        if volume is None:
            return
        assert mask.shape == slicer.util.arrayFromVolume(volume).shape
        assert mask[24, 28, 32]
        assert not mask[0, 0, 0]
        self.delayDisplay("Test passed")

    def _with_logic(self, task):
        """What `task` makes with a logic of its own, or twice None where packages are missing."""
        missing = Packages(_ask, install_into_slicer).missing()
        if missing:
            self.delayDisplay(f"Not run: Slicer needs {', '.join(missing)} first; open the module and click Install packages")
            return None, None
        logic = UltraLightSegmenterLogic()
        try:
            return task(logic)
        finally:
            logic.close()
