"""The panel: from a volume to labels with one click, and on to corrections."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from . import settings
from .core import shipped_models
from .editor import Editor
from .folder_buttons import FolderButtons
from .keeping import Keeping
from .learning import Learning
from .logic import UltraLightSegmenterLogic
from .model_choice import ModelChoice
from .model_list import ModelList
from .packages import Packages, ensure_torch
from .parameters import Checked, Scope, UltraLightSegmenterParameterNode
from .pictures import Picture
from .point_at import PointAt
from .problem import Problem, notice
from .process import Facts, Listener
from .regions import fit
from .segmentations import volume_of
from .segmenting import Segmenting

_LOG = logging.getLogger("UltraLight")

POLL_MS = 25
"""How often the processes are listened to while something is under way."""


class Panel(VTKObservationMixin):
    """Connects the widgets of the .ui file with the logic; keeps what is chosen in the scene.

    Attributes:
        ui: the widgets by name.
        logic: does the work.
        packages: installs what is missing.
    """

    def __init__(self, ui: Any, logic: UltraLightSegmenterLogic, packages: Packages, editor: Editor) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self.logic = logic
        self.packages = packages
        self.editor = editor
        self._choice: UltraLightSegmenterParameterNode | None = None
        self._timer = qt.QTimer()
        self._timer.interval = POLL_MS
        self._timer.connect("timeout()", self._poll)
        self.models = ModelChoice(ui, self._choose_model)
        self.model_list = ModelList(ui, logic, self.models, self._say, lambda: self._choice.model if self._choice is not None else "")
        self.segmenting = Segmenting(ui, logic, self._say, slicer.util.confirmYesNoDisplay)
        self.keeping = Keeping(ui, logic, self._sayer(ui.keepStatus), slicer.util.confirmYesNoDisplay)
        self.learning = Learning(ui, logic, self._sayer(ui.learnStatus), slicer.util.confirmYesNoDisplay)
        self.point_at = PointAt(
            ui,
            logic,
            editor,
            choice=lambda: self._choice,
            attempt=lambda action: self._try(action, ui.pointStatus),
            ensure=self._ensure_packages,
            say=self._sayer(ui.pointStatus),
            confirm=slicer.util.confirmYesNoDisplay,
            made=self._show_segmentation,
        )
        self.model_list.listed = self._models_listed
        self.model_list.added = self._model_changed
        self.segmenting.made = self._show_segmentation
        self.keeping.changed = self._show_store
        self.keeping.ensure_for_dicom = packages.ensure_for_dicom
        self.keeping.opened = self._show_case
        self.learning.changed = self._model_changed
        self._gui_tag: Any = None
        self._store_of = ""
        logic.worker.log = logic.trainer.log = self.log
        ui.noticeLabel.text = notice()
        folders = FolderButtons(ui, _folder, self._try, (self.model_list, self.keeping, self.learning), self._show_store)
        for button, action in (
            (ui.segmentButton, self.segment),
            (ui.cancelButton, self.segmenting.cancel),
            (ui.installButton, self.install),
            (ui.addModelButton, folders.add_model),
            (ui.homeButton, folders.change_home),
            (ui.storeButton, folders.change_store),
            (ui.saveButton, self._save),
            (ui.openButton, self._guarded(self.keeping.open, ui.keepStatus)),
            (ui.exportButton, folders.export),
            (ui.dicomButton, folders.choose_dicom),
            (ui.fitButton, self._guarded(self._fit_region, ui.statusLabel)),
            (ui.imagesButton, folders.choose_images),
            (ui.noImagesButton, lambda: self.learning.use_images("")),
            (ui.retrainButton, self._retrain),
            (ui.stopButton, self.learning.stop),
            (ui.useButton, self._guarded(self.learning.use, ui.learnStatus)),
        ):
            button.connect("clicked(bool)", _without_argument(action))
        ui.formatSelector.connect("currentIndexChanged(int)", lambda index: self.keeping.show_format())
        self.keeping.show_format()
        ui.threadsBox.value = settings.threads()
        ui.threadsBox.connect("valueChanged(int)", settings.keep_threads)
        self._show_packages()
        self.models.offer(shipped_models(), "")

    # ---- life

    def enter(self) -> None:
        """The module is shown: take up the scene, and get the process going so that the first click need not wait for it."""
        self.editor.enter()
        self.use_scene()
        self._show_packages()
        if not self.packages.missing():
            self._try(self.model_list.ask)

    def exit(self) -> None:
        """Another module is shown; what is under way goes on."""
        self.point_at.rest()
        self.editor.exit()
        self._let_go()

    def use_scene(self) -> None:
        """Show and observe the scene's parameters."""
        self._let_go()
        self.editor.attach()
        choice = self.logic.getParameterNode()
        if not choice.volume:
            choice.volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        if not choice.model and self.models.model:
            choice.model = self.models.model["id"]
        self._choice = choice
        self.point_at.watch(self.editor.widget.mrmlSegmentEditorNode())
        self._gui_tag = choice.connectGui(self.ui)
        self.addObserver(choice, vtk.vtkCommand.ModifiedEvent, self._adapt)
        self._adapt()

    def leave_scene(self) -> None:
        """The scene is about to be closed."""
        self.point_at.close()
        self._let_go()
        self.editor.detach()

    def close(self) -> None:
        """Stop everything and let go of the scene."""
        self._timer.stop()
        self.point_at.close()
        self._let_go()
        self.editor.detach()
        self.logic.close()
        self.removeObservers()

    def _let_go(self) -> None:
        if self._choice is not None:
            self._choice.disconnectGui(self._gui_tag)
            self.removeObserver(self._choice, vtk.vtkCommand.ModifiedEvent, self._adapt)
            self._choice = None

    # ---- segmenting

    def segment(self) -> None:
        """Segment what is chosen; what stands in the way is told to the user."""
        self._try(self._begin)

    def _begin(self) -> None:
        choice, model = self._chosen()
        self._ensure_packages()
        if choice.device in ("cuda", "mps"):
            ensure_torch()
        self.segmenting.start(choice, model)

    def install(self) -> None:
        """Install what is missing, after a question."""
        self._try(self._install)

    def _install(self) -> None:
        self._ensure_packages()
        self._say(_("Installed; click Segment"))
        self.model_list.ask()

    def _ensure_packages(self) -> None:
        self.packages.ensure()
        self._show_packages()

    def _show_segmentation(self, node: Any) -> None:
        # While another module is shown, the scene keeps the choice for the user's return.
        choice = self._choice or self.logic.getParameterNode()
        choice.segmentation = node

    def _show_case(self, node: Any) -> None:
        self._show_segmentation(node)
        choice = self._choice or self.logic.getParameterNode()
        choice.volume = volume_of(node)
        slicer.util.setSliceViewerLayers(background=choice.volume, fit=True)

    def _fit_region(self) -> None:
        choice, _model = self._chosen()
        fit(choice.roi, Picture.of(choice.volume))

    # ---- models, stores, versions

    def _choose_model(self, model: str) -> None:
        if self._choice is not None and self._choice.model != model:
            self._choice.model = model

    def _models_listed(self) -> None:
        if self.models.model is not None:
            self._choose_model(self.models.model["id"])
        self._show_store()

    def _model_changed(self, model: str) -> None:
        """There is another model or version: list them anew, and choose it."""
        self._try(lambda: self.model_list.ask(model))

    def _show_store(self) -> None:
        model = self.models.model
        if model is None or self.packages.missing():
            return
        self._store_of = model["name"]

        def show(facts: Facts) -> None:
            self.keeping.show(facts)
            self.learning.show(facts)

        self._try(
            lambda: self.logic.describe_store(model["id"], Listener(show, self._say), folder=self.keeping.folder_for(model["id"])),
            self.ui.keepStatus,
        )

    def _save(self) -> None:
        def save() -> None:
            choice, model = self._chosen()
            self.packages.ensure()
            self.keeping.save(choice, model)

        self._try(save, self.ui.keepStatus)

    def _retrain(self) -> None:
        def retrain() -> None:
            choice, model = self._chosen()
            self.packages.ensure()
            ensure_torch()
            self.learning.retrain(self.keeping.store, model["id"], minutes=choice.minutes)

        self._try(retrain, self.ui.learnStatus)

    # ---- showing

    def log(self, line: str) -> None:
        """Add a line to the module's log and to Slicer's."""
        self.ui.logText.appendPlainText(f"{time.strftime('%H:%M:%S')}  {line}")
        _LOG.info(line)

    def _adapt(self, *event: object) -> None:
        """Show what makes sense for what is chosen."""
        choice = self._choice
        if choice is None:
            return
        if self.models.model is None or choice.model != self.models.model["id"]:
            self.models.choose(choice.model)
        model = self.models.model
        is_sliced = model is not None and model["spatial_dims"] == 2
        shows_view = choice.scope is Scope.SLICE or is_sliced or choice.checked is Checked.SLICE
        shows_roi = choice.scope is Scope.ROI or choice.checked is Checked.ROI
        for widget, is_shown in (
            (self.ui.viewLabel, shows_view),
            (self.ui.viewSelector, shows_view),
            (self.ui.roiLabel, shows_roi),
            (self.ui.roiSelector, shows_roi),
            (self.ui.fitButton, shows_roi),
        ):
            widget.visible = is_shown
        if shows_roi and choice.volume is not None and choice.roi is not None and not choice.roi.GetNumberOfControlPoints():
            # Just created: it encloses the volume, so that there are handles to drag.
            self._try(self._fit_region)
        self.editor.show(choice.segmentation)
        self.point_at.adapt(choice)
        if model is not None and model["name"] != self._store_of and self.logic.worker.is_running:
            self._show_store()

    def _show_packages(self) -> None:
        missing = [need.partition(">")[0] for need in self.packages.missing()]
        self.ui.installFrame.visible = bool(missing)
        text = _("Before the first segmentation Slicer needs packages: {names}.").format(names=", ".join(missing))
        self.ui.installLabel.text = text if missing else ""

    def _chosen(self) -> tuple[Any, Facts]:
        if self._choice is None:
            raise Problem(_("Expected an open scene, found none; open the module again"))
        if self.models.model is None:
            raise Problem(_("Expected a model, found none; add a model folder with “Add…”"))
        return self._choice, self.models.model

    def _say(self, text: str) -> None:
        self._sayer(self.ui.statusLabel)(text)

    def _sayer(self, label: Any) -> Callable[[str], None]:
        def say(text: str) -> None:
            label.text = text
            self.log(text)

        return say

    def _try(self, action: Callable[[], None], label: Any = None) -> None:
        """Do something that may be impossible, and then say why; listen to the processes from now on."""
        try:
            action()
        except Problem as problem:
            self._sayer(label or self.ui.statusLabel)(str(problem))
        if self.logic.is_waiting:
            self._timer.start()

    def _guarded(self, action: Callable[[], None], label: Any) -> Callable[[], None]:
        return lambda: self._try(action, label)

    def _poll(self) -> None:
        self.logic.poll()
        if not self.logic.is_waiting:
            self._timer.stop()


def _folder(title: str, start: str) -> str:
    """A folder that the user chooses, "" for none."""
    chosen: str = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, start)
    return chosen


def _without_argument(action: Callable[[], None]) -> Callable[..., None]:
    """A slot that drops what Qt says of the button."""
    return lambda *arguments: action()
