"""The dock widget: from an image layer to labels with one click."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from napari import Viewer
from napari.layers import Layer
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.session import Request
from ultralightunet.volume import Segmentation

from ._class_table import ClassTable
from ._image_choice import ImageChoice
from ._layers import Picture
from ._model_choice import ModelChoice
from ._options import Options
from ._run_bar import RunBar
from ._scope import ScopeChoice
from ._worker import show_failure

NOTICE = "Research use only. Not a medical device: check every result before you rely on it."

MINIMUM_WIDTH = 360
"""Pixels; napari opens docks as narrow as their contents let it."""

STYLE = """
QLabel#notice { border-left: 3px solid #ffb300; padding: 4px 6px; }
QLabel#card { padding: 2px 4px; }
QPushButton#segment { font-weight: bold; padding: 6px; }
"""

SEGMENT_KEY = "Control-Shift-G"
CANCEL_KEY = "Control-Shift-X"
BOX_KEY = "Control-Shift-B"


class UltraLightWidget(QScrollArea):
    """Choose an image and a model, click Segment, correct the labels with napari's brush.

    Attributes:
        image: which image layer.
        model: which model.
        scope: which part of the image.
        options: device and the like.
        run: buttons and progress.
        table: the classes of the labels in use.
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
        self.table = ClassTable(viewer)
        self._lay_out()
        self.image.widget.changed.connect(self._adapt)
        self.model.combo.changed.connect(self._adapt)
        self.run.requested.connect(self.segment)
        self.run.segmented.connect(self._add_labels)
        self.options.home_chosen.connect(self.model.use_home)
        self._bind_keys()
        self._adapt()
        # Qt destroys this widget with its window; napari's events and a running segmentation know nothing of that.
        self._farewell = _Farewell(self)
        self.destroyed.connect(self._farewell)

    def changeEvent(self, event: QEvent) -> None:
        """Take leave when napari's dock is closed: it does no more than to let go of this widget."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self._farewell()

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

    def _add_labels(self, picture: Picture, segmentation: Segmentation) -> None:
        name = " ".join((picture.name, *(f"t={index}" for index in picture.index)))
        layer = Layer.create(*picture.labels_layer(segmentation, name=f"{name} - {segmentation.model.partition('@')[0]}"))
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

    def _bind_keys(self) -> None:
        # On the viewer, because napari registers no key bindings of manifests; away from the keys of labels and shapes.
        for key, action in ((SEGMENT_KEY, self.segment), (CANCEL_KEY, self.run.stop), (BOX_KEY, self.scope.draw_box)):
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
        content = QWidget()
        content.setStyleSheet(STYLE)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addLayout(form)
        layout.addWidget(self.options)
        layout.addWidget(self.run)
        layout.addWidget(self.table)
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
        self._parts: tuple[Any, ...] = (widget.image, widget.scope, widget.table)
        self._run = widget.run
        self._is_said = False

    def __call__(self, *_: object) -> None:
        if self._is_said:
            return
        self._is_said = True
        self._run.abandon()
        for part in self._parts:
            part.close_down()
        for key in (SEGMENT_KEY, CANCEL_KEY, BOX_KEY):
            self._viewer.bind_key(key, None, overwrite=True)


def _ignoring_the_viewer(action: Any) -> Any:
    def call(viewer: Any) -> None:
        action()

    return call
