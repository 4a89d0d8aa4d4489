"""The classes of the labels layer in use: which layer that is, what is painted next, and classes that are added."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Labels
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ultralightunet.corrections.classes import unnamed_classes
from ultralightunet.errors import InputError
from ultralightunet.models import LabelClass, Model

from ..layers.facts import classes_of, show_classes
from ..layers.grid import KEY
from ..layers.helpers import is_helper
from ..parts.worker import show_failure
from .class_rows import ClassRows
from .counting import Counted, Counting
from .new_class import NewClass


class ClassTable(QWidget):
    """Shows the labels layer that is selected in the viewer, as long as this plugin made it.

    Clicking a row selects that label for napari's brush. Amounts follow what is painted; they are counted on another thread.

    Attributes:
        add: the button for a new class.
        adopt: the button that gives labels from elsewhere the classes of the chosen model.
    """

    def __init__(self, viewer: Any, model: Callable[[], Model | None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._model = model
        self._layer: Any = None
        self._point: tuple[float, ...] = ()
        self._title = QLabel()
        self._title.setWordWrap(True)
        self._table = ClassRows()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._title)
        layout.addWidget(self._table)
        self.add = PushButton(text="New class…", tooltip="Add a class to these labels; when it is retrained, the model learns it, too.")
        self.adopt = PushButton(text="Use the model's classes", tooltip="Let these labels have the classes of the chosen model.")
        self.add.changed.connect(self._ask_for_class)
        self.adopt.changed.connect(self.use_classes_of_model)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.adopt.native)
        row.addWidget(self.add.native)
        layout.addLayout(row)
        self._counting = Counting(lambda: self._layer, self)
        self._counting.counted.connect(self._counted)
        self._table.cellClicked.connect(self._clicked)
        self._table.currentCellChanged.connect(self._use_row)
        viewer.layers.selection.events.active.connect(self.follow_selection)
        viewer.layers.events.removed.connect(self._forget_removed)
        self.show_layer(None)
        self.follow_selection()

    @property
    def layer(self) -> Any:
        """The layer that is shown, or None."""
        return self._layer

    @property
    def is_counting(self) -> bool:
        """Whether amounts are being counted, or soon will be."""
        return self._counting.is_busy

    def rows(self) -> list[tuple[int, str, str]]:
        """Label, name and amount of each row, as shown."""
        return self._table.rows()

    def show_layer(self, layer: Any) -> None:
        """Show a labels layer that this plugin made, or nothing."""
        self._follow_events(connect=False)
        self._layer = layer
        self._follow_events(connect=True)
        self._table.setVisible(layer is not None)
        self.add.native.setVisible(layer is not None)
        if layer is None:
            self._title.setText("Segment an image, or select labels made here, to see their classes.")
            self._table.fill((), {})
            return
        self._title.setText(f"Classes of <b>{layer.name}</b>")
        self._point = tuple(self._viewer.dims.point)
        self._table.fill(classes_of(layer.metadata[KEY]), None, color=layer.get_color)
        self._select_row()
        self._counting.now()

    def add_class(self, new: LabelClass) -> None:
        """Add a class to the labels that are shown, and select it for painting."""
        if self._layer is None:
            return
        if new.index > np.iinfo(self._layer.data.dtype).max:
            show_failure(InputError(f"expected at most {new.index - 1} classes in these labels, found one more; convert them to int32"))
            return
        known = classes_of(self._layer.metadata[KEY])
        # Classes are numbered without gaps: labels between that nobody uses have numbers for names.
        between = unnamed_classes(new.index - 1)[len(known) :]
        show_classes(self._layer, (*known, *between, new))
        self._layer.selected_label = new.index
        self.show_layer(self._layer)

    def use_classes_of_model(self) -> None:
        """Give the selected labels, which come from elsewhere, the classes of the chosen model."""
        layer, model = self._viewer.layers.selection.active, self._model()
        if isinstance(layer, Labels) and model is not None:
            show_classes(layer, model.classes)
            self.follow_selection()

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this widget."""
        self._follow_events(connect=False)
        self._viewer.layers.selection.events.active.disconnect(self.follow_selection)
        self._viewer.layers.events.removed.disconnect(self._forget_removed)

    def _follow_events(self, *, connect: bool) -> None:
        if self._layer is None:
            return
        events = self._layer.events
        for emitter, slot in (
            (events.paint, self._changed),
            (events.data, self._changed),
            (events.set_data, self._redrawn),
            (events.selected_label, self._select_row),
            (events.name, self._renamed),
        ):
            (emitter.connect if connect else emitter.disconnect)(slot)

    def follow_selection(self, event: Any = None) -> None:
        """Show the labels that are selected now."""
        layer = self._viewer.layers.selection.active
        is_ours = isinstance(layer, Labels) and "classes" in layer.metadata.get(KEY, {})
        self.adopt.native.setVisible(isinstance(layer, Labels) and not is_ours and not is_helper(layer))
        if is_ours and layer is not self._layer:
            self.show_layer(layer)

    def _forget_removed(self, event: Any = None) -> None:
        if self._layer is not None and self._layer not in self._viewer.layers:
            self.show_layer(None)

    def _renamed(self, event: Any = None) -> None:
        self._title.setText(f"Classes of <b>{self._layer.name}</b>")

    def _redrawn(self, event: Any = None) -> None:
        # Undo and redo only redraw the layer; so does scrolling, after which nothing need be counted.
        point = tuple(self._viewer.dims.point)
        if point == self._point:
            self._changed()
        self._point = point

    def _changed(self, event: Any = None) -> None:
        self._counting.soon()

    def _counted(self, result: Counted) -> None:
        _, segmentation, counts, volumes = result
        self._table.count_in("Volume (ml)" if volumes is not None else "Pixels" if segmentation.labels.ndim == 2 else "Voxels")
        self._table.fill(segmentation.classes, counts, volumes, color=self._layer.get_color)
        self._select_row()

    def _ask_for_class(self) -> None:
        if self._layer is None:
            return
        known = classes_of(self._layer.metadata[KEY])
        asked = NewClass(known, self, index=self._unnamed(known))
        if asked.exec():
            self.add_class(asked.label_class)

    def _unnamed(self, known: Sequence[LabelClass]) -> int | None:
        """The label that is painted with, or one that there is, which has no class yet; None if all have one."""
        named = {c.index for c in known}
        labels = [int(self._layer.selected_label), *(label for label, _, _ in self._table.rows())]
        return next((label for label in labels if label > 0 and label not in named), None)

    def _clicked(self, row: int, *_: int) -> None:
        self._use_row(row)
        # Whatever had the keys before, such as a number that was typed: who clicks a class wants to paint.
        if hasattr(self._viewer, "window"):
            self._viewer.window._qt_viewer.canvas.native.setFocus()

    def _use_row(self, row: int, *_: int) -> None:
        if self._layer is None or row < 0:
            return
        self._layer.selected_label = self._table.label_at(row)
        if self._layer in self._viewer.layers:
            self._viewer.layers.selection.active = self._layer

    def _select_row(self, event: Any = None) -> None:
        self._table.select(self._layer.selected_label if self._layer is not None else None)
