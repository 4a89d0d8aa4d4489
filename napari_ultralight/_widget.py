"""The dock widget: from an image layer to labels with one click."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from functools import partial
from typing import Any

from napari import Viewer
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.inference.session import Request

from .correct.belongs import Belongs
from .correct.class_table import ClassTable
from .correct.correct import KEYS as TOOL_KEYS
from .correct.correct import Correct
from .drafts.closing import Closing
from .drafts.recovery import Recovery
from .drafts.unsaved import Unsaved
from .improve.improve import Improve
from .keep.save import SAVE_KEY, Save
from .keep.save_labels import SaveLabels
from .keep.stores import Stores
from .layers.active_labels import ActiveLabels
from .layers.brush_guard import BrushGuard
from .layers.conversion import Picture
from .layers.image_choice import ImageChoice
from .layers.viewers import forget_viewer, note_viewer
from .parts.calm_wheel import CalmWheel
from .parts.fold import Fold
from .parts.soon import soon
from .parts.worker import show_failure
from .prompt.point import POINT_KEY, PointAt
from .segment.doubts import Doubts
from .segment.landing import Landing
from .segment.model_choice import ModelChoice
from .segment.options import Options
from .segment.run_bar import RunBar
from .segment.scope import ScopeChoice

NOTICE = "Research use only. Not a medical device: check every result before you rely on it."

MINIMUM_WIDTH = 380
"""Pixels; napari opens docks as narrow as their contents let it."""

STYLE = """
QLabel#notice { border-left: 3px solid #ffb300; padding: 4px 6px; }
QLabel#card { padding: 2px 4px; }
QPushButton#segment, QPushButton#primary { font-weight: bold; padding: 6px; }
QToolButton#fold { font-weight: bold; border: none; padding: 3px 2px; }
QToolButton#tool { padding: 3px 0px; border: 1px solid transparent; border-radius: 3px; }
QToolButton#tool:checked { background: palette(highlight); border-color: palette(light); font-weight: bold; }
QFrame#recovery { border: 1px solid #ffb300; border-radius: 3px; }
"""

SEGMENT_KEY = "Control-Shift-G"
CANCEL_KEY = "Control-Shift-X"
BOX_KEY = "Control-Shift-B"
UNDO_KEY = "Control-Z"
REDO_KEY = "Control-Shift-Z"
"""napari has these for the labels that are selected; the dock has them for those that its tools work on, whatever is selected."""


class UltraLightWidget(QScrollArea):
    """Choose an image and a model, click Segment, correct the labels, save them, and let the model learn from them.

    Attributes:
        image: which image layer.
        model: which model.
        scope: which part of the image.
        doubts: what speaks against the image.
        options: device and the like.
        run: buttons and progress.
        table: the classes of the labels in use.
        point: labelling what is pointed at.
        belongs: the scan of labels that came from a file.
        save_labels: a file of labels.
        correct: tools.
        save: saving and exporting.
        improve: retraining and versions.
        unsaved: what is not saved yet.
        recovery: what was not saved last time.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # napari hands plugins a proxy whose layers are proxies too, new ones each time; layers are told apart by identity here.
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = viewer
        note_viewer(viewer)
        self.image = ImageChoice(viewer)
        self.model = ModelChoice()
        self.scope = ScopeChoice(viewer)
        self.doubts = Doubts()
        self.options = Options()
        self.run = RunBar()
        self.table = ClassTable(viewer, lambda: self.model.model)
        self.unsaved = Unsaved(viewer, self)
        self.recovery = Recovery(viewer, self.unsaved)
        self._active = ActiveLabels(viewer, self)
        self.belongs = Belongs(viewer, self._active)
        self._stores = Stores(self)
        self.point = PointAt(viewer, self._active, lambda: self.image.layer)
        self.correct = Correct(viewer, self._active)
        self.save = Save(viewer, self._active, self._stores, image=lambda: self.image.layer, model=lambda: self.model.model)
        self.save_labels = SaveLabels(viewer, self._active)
        self.improve = Improve(self._stores, lambda: self.model.model, self.options.threads)
        self._landing = Landing(viewer, self.run, self.doubts)
        self._lay_out()
        self.image.widget.changed.connect(self._adapt)
        self.model.combo.changed.connect(self._adapt)
        self.run.requested.connect(self.segment)
        self.run.segmented.connect(self._landing.add)
        self.options.home_chosen.connect(self.model.use_home)
        self.unsaved.changed.connect(self._mark_unsaved)
        self.save.saved.connect(self._note_saved)
        self.improve.learned.connect(self.model.reload)
        for fold in self._folds:
            fold.opened.connect(partial(self._show_fold, fold))
        self._bind_keys()
        self._adapt()
        self.scope.combo.changed.connect(self._show_doubts)
        self._brush_guard = BrushGuard(viewer)
        self._closing = Closing(self._viewer, self.unsaved, self._offer_to_save, self)
        # Qt destroys this widget with its window; napari's events and a running segmentation know nothing of that.
        self._farewell = _Farewell(self)
        self.destroyed.connect(self._farewell)

    def changeEvent(self, event: QEvent) -> None:
        """Take leave when napari's dock is closed: it does no more than to let go of this widget."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self._farewell()
            self._closing.dock_closed()

    def segment(self) -> None:
        """Segment what is chosen; the labels arrive as a new layer. What stands in the way is told to the user."""
        if self.run.is_running:
            return
        try:
            picture, request = self._request()
        except UltraLightError as error:
            self.run.say(show_failure(error))
            return
        self._show_doubts()
        self.doubts.warn()
        self._landing.begin()
        self.run.start(picture, request)

    def _request(self) -> tuple[Picture, Request]:
        layer, model = self.image.layer, self.model.model
        if layer is None:
            raise InputError("expected an image, found no image layer; open one, or a sample with File > Open Sample > UltraLight")
        if model is None:
            raise InputError("expected a model, found none; add a model folder with “Add…”")
        picture = Picture.of(layer, self._viewer.dims.point, self._viewer.dims.units)
        return picture, Request(model, **self.scope.selection(picture), **self.options.arguments())

    def _adapt(self, *_: object) -> None:
        self.scope.adapt(self.image.layer, self.model.model)
        self._show_doubts()
        self.save.show_model()
        self.improve.show_model()

    def _show_doubts(self, *_: object) -> None:
        layer = self.image.layer
        try:
            picture = None if layer is None else Picture.of(layer, self._viewer.dims.point, self._viewer.dims.units)
        except UltraLightError:
            # That it cannot be segmented at all is told when that is asked for.
            picture = None
        self.doubts.judge(picture, self.model.model, self.scope)

    def _mark_unsaved(self) -> None:
        count = len(self.unsaved.layers)
        text = "● not saved" if count == 1 else f"● {count} not saved"
        self.save.mark("" if not count else f"{text}, nor kept on disk" if self.unsaved.trouble else text)
        self.save.setToolTip(f"Labels could not be kept on disk: {self.unsaved.trouble}" if self.unsaved.trouble else "")

    def _note_saved(self, *_: object) -> None:
        self.unsaved.check_now()
        # Labels from elsewhere have their classes since they were saved.
        self.table.follow_selection()
        self.improve.show_model()

    def _offer_to_save(self, layer: Any) -> None:
        self._viewer.layers.selection.active = layer
        self.save.expand()

    def _show_fold(self, opened: Fold) -> None:
        """One at a time, and in view: small screens have no room for more."""
        for fold in self._folds:
            if fold is not opened:
                fold.fold()
        # Once the layout has made room.
        soon(self, partial(self.ensureWidgetVisible, opened))

    @property
    def _folds(self) -> tuple[Fold, ...]:
        return (self.point, self.correct, self.save, self.improve)

    def _bind_keys(self) -> None:
        # On the viewer, because napari registers no key bindings of manifests; away from the keys of labels and shapes.
        actions = {
            SEGMENT_KEY: self.segment,
            CANCEL_KEY: self.run.stop,
            BOX_KEY: self.scope.draw_box,
            POINT_KEY: self.point.start,
            SAVE_KEY: self.save.save_correction,
        }
        actions |= {UNDO_KEY: self.correct.undo, REDO_KEY: self.correct.redo}
        actions |= {key: partial(self.correct.use, tool) for tool, key in TOOL_KEYS.items()}
        for key, action in actions.items():
            self._viewer.bind_key(key, _ignoring_the_viewer(action), overwrite=True)

    def _lay_out(self) -> None:
        notice = QLabel(NOTICE)
        notice.setWordWrap(True)
        notice.setObjectName("notice")
        notice.setToolTip("These models were made for research. They are no substitute for a physician's judgement.")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.image.widget.native)
        form.addRow("Model", self.model)
        form.addRow("Scope", self.scope)
        self.segmenting = Fold("Segment", "Find structures in an image with a trained model.")
        self.segmenting.body.addLayout(form)
        self.segmenting.body.addWidget(self.doubts)
        self.segmenting.body.addWidget(self.options)
        self.segmenting.body.addWidget(self.run)
        self.segmenting.expand()
        content = QWidget()
        content.setStyleSheet(STYLE)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        for part in (self.recovery, self.segmenting, self.belongs, self.table, self.save_labels, *self._folds):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addWidget(notice)
        self._calm_wheel = CalmWheel(content)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setMinimumWidth(MINIMUM_WIDTH)


class _Farewell:
    """Cancels and lets go of the viewer, once; holds the parts, because the widget may be gone by then."""

    def __init__(self, widget: UltraLightWidget) -> None:
        self._viewer = widget._viewer
        self._parts: tuple[Any, ...] = (
            widget.image,
            widget.scope,
            widget.table,
            widget.point,
            widget.correct,
            widget.save,
            widget.improve,
            widget._active,
            widget.unsaved,
            widget._brush_guard,
            widget._landing,
            widget.belongs,
        )
        self._run = widget.run
        self._is_said = False

    def __call__(self, *_: object) -> None:
        if self._is_said:
            return
        self._is_said = True
        self._run.abandon()
        forget_viewer(self._viewer)
        for part in self._parts:
            part.close_down()
        for key in (SEGMENT_KEY, CANCEL_KEY, BOX_KEY, POINT_KEY, SAVE_KEY, UNDO_KEY, REDO_KEY, *TOOL_KEYS.values()):
            self._viewer.bind_key(key, None, overwrite=True)


def _ignoring_the_viewer(action: Any) -> Any:
    def call(viewer: Any) -> None:
        action()

    return call
