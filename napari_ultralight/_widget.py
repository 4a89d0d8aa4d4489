"""The dock widget: from an image layer to labels with one click."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from functools import partial
from typing import Any

from napari import Viewer
from napari.layers import Layer
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QFormLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.inference.session import Request
from ultralightunet.volume import Segmentation

from .correct.class_table import ClassTable
from .correct.correct import KEYS as TOOL_KEYS
from .correct.correct import Correct
from .drafts.closing import Closing
from .drafts.recovery import Recovery
from .drafts.unsaved import Unsaved
from .improve.improve import Improve
from .keep.save import SAVE_KEY, Save
from .keep.stores import Stores
from .layers.active_labels import ActiveLabels
from .layers.conversion import Picture
from .layers.grid import LayerData
from .layers.image_choice import ImageChoice
from .parts.fold import Fold
from .parts.worker import show_failure
from .prompt.point import POINT_KEY, PointAt
from .segment.model_choice import ModelChoice
from .segment.options import Options
from .segment.run_bar import RunBar
from .segment.scope import ScopeChoice

NOTICE = "Research use only. Not a medical device: check every result before you rely on it."

MINIMUM_WIDTH = 360
"""Pixels; napari opens docks as narrow as their contents let it."""

STYLE = """
QLabel#notice { border-left: 3px solid #ffb300; padding: 4px 6px; }
QLabel#card { padding: 2px 4px; }
QPushButton#segment, QPushButton#primary { font-weight: bold; padding: 6px; }
QToolButton#fold { font-weight: bold; border: none; padding: 3px 2px; }
QToolButton#tool { padding: 3px; border: 1px solid transparent; border-radius: 3px; }
QToolButton#tool:checked { background: palette(highlight); border-color: palette(light); font-weight: bold; }
QFrame#recovery { border: 1px solid #ffb300; border-radius: 3px; }
"""

SEGMENT_KEY = "Control-Shift-G"
CANCEL_KEY = "Control-Shift-X"
BOX_KEY = "Control-Shift-B"


class UltraLightWidget(QScrollArea):
    """Choose an image and a model, click Segment, correct the labels, save them, and let the model learn from them.

    Attributes:
        image: which image layer.
        model: which model.
        scope: which part of the image.
        options: device and the like.
        run: buttons and progress.
        table: the classes of the labels in use.
        point: labelling what is pointed at.
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
        self.image = ImageChoice(viewer)
        self.model = ModelChoice()
        self.scope = ScopeChoice(viewer)
        self.options = Options()
        self.run = RunBar()
        self.table = ClassTable(viewer, lambda: self.model.model)
        self.unsaved = Unsaved(viewer, self)
        self.recovery = Recovery(viewer, self.unsaved)
        self._active = ActiveLabels(viewer, self)
        self._stores = Stores(self)
        self.point = PointAt(viewer, self._active, lambda: self.image.layer)
        self.correct = Correct(viewer, self._active)
        self.save = Save(viewer, self._active, self._stores, image=lambda: self.image.layer, model=lambda: self.model.model)
        self.improve = Improve(self._stores, lambda: self.model.model, self.options.threads)
        self._lay_out()
        self.image.widget.changed.connect(self._adapt)
        self.model.combo.changed.connect(self._adapt)
        self.run.requested.connect(self.segment)
        self.run.segmented.connect(self._add_labels)
        self.options.home_chosen.connect(self.model.use_home)
        self.unsaved.changed.connect(self._mark_unsaved)
        self.save.saved.connect(self._note_saved)
        self.improve.learned.connect(self.model.reload)
        for fold in self._folds:
            fold.opened.connect(partial(self._show_fold, fold))
        self._bind_keys()
        self._adapt()
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
        self.run.start(picture, request)

    def _request(self) -> tuple[Picture, Request]:
        layer, model = self.image.layer, self.model.model
        if layer is None:
            raise InputError("expected an image, found no image layer; open one, or a sample with File > Open Sample > UltraLight")
        if model is None:
            raise InputError("expected a model, found none; add a model folder with “Add…”")
        picture = Picture.of(layer, self._viewer.dims.point, self._viewer.dims.units)
        return picture, Request(model, **self.scope.selection(picture), **self.options.arguments())

    def _add_labels(self, segmentation: Segmentation, layer_data: LayerData) -> None:
        layer = Layer.create(*layer_data)
        layer.brush_size = 5
        # napari gives the layer another name where there is one of this name: nothing is replaced.
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        if not segmentation.labels.any():
            self.run.say("Done: nothing was found. Is the model made for this kind of image?")
        elif segmentation.facts.get("voxel_size_assumed"):
            self.run.say("Done. The image does not tell its voxel size; 1 mm was assumed.")

    def _adapt(self, *_: object) -> None:
        self.scope.adapt(self.image.layer, self.model.model)
        self.save.show_model()
        self.improve.show_model()

    def _mark_unsaved(self) -> None:
        count = len(self.unsaved.layers)
        text = "● not saved" if count == 1 else f"● {count} not saved"
        self.save.mark("" if not count else f"{text}, nor kept on disk" if self.unsaved.trouble else text)
        self.save.setToolTip(f"Labels could not be kept on disk: {self.unsaved.trouble}" if self.unsaved.trouble else "")

    def _note_saved(self, *_: object) -> None:
        self.unsaved.flush()
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
        QTimer.singleShot(0, partial(self.ensureWidgetVisible, opened))

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
        self.segmenting.body.addWidget(self.options)
        self.segmenting.body.addWidget(self.run)
        self.segmenting.expand()
        content = QWidget()
        content.setStyleSheet(STYLE)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        for part in (self.recovery, self.segmenting, self.table, *self._folds):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addWidget(notice)
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
        )
        self._run = widget.run
        self._is_said = False

    def __call__(self, *_: object) -> None:
        if self._is_said:
            return
        self._is_said = True
        self._run.abandon()
        for part in self._parts:
            part.close_down()
        for key in (SEGMENT_KEY, CANCEL_KEY, BOX_KEY, POINT_KEY, SAVE_KEY, *TOOL_KEYS.values()):
            self._viewer.bind_key(key, None, overwrite=True)


def _ignoring_the_viewer(action: Any) -> Any:
    def call(viewer: Any) -> None:
        action()

    return call
