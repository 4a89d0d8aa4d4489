"""The table of classes: name, colour and volume of each label of the labels layer in use."""

# mypy: disallow-subclassing-any=False, disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Labels
from napari.qt.threading import WorkerBase
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHBoxLayout, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from ultralightunet.errors import InputError
from ultralightunet.models import LabelClass, Model
from ultralightunet.volume import Segmentation

from ..layers.conversion import attributes_of, classes_of, segmentation_of, show_classes
from ..layers.grid import KEY
from ..parts.worker import show_failure
from .new_class import NewClass

PAUSE_MS = 300
"""How long painting must rest before voxels are counted anew."""

COLOR, NAME, AMOUNT = range(3)


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
        self._counter: _Counter | None = None
        self._title = QLabel()
        self._title.setWordWrap(True)
        self._table = _make_table()
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
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._count)
        self._table.cellClicked.connect(self._use_row)
        self._table.currentCellChanged.connect(self._use_row)
        viewer.layers.selection.events.active.connect(self.follow_selection)
        viewer.layers.events.removed.connect(self._forget_removed)
        self.show_layer(None)
        self.follow_selection()

    @property
    def layer(self) -> Any:
        """The layer that is shown, or None."""
        return self._layer

    def rows(self) -> list[tuple[int, str, str]]:
        """Label, name and amount of each row, as shown."""
        return [
            (int(self._item(row, NAME).data(Qt.ItemDataRole.UserRole)), self._item(row, NAME).text(), self._item(row, AMOUNT).text())
            for row in range(self._table.rowCount())
        ]

    def show_layer(self, layer: Any) -> None:
        """Show a labels layer that this plugin made, or nothing."""
        self._follow_events(connect=False)
        self._layer = layer
        self._follow_events(connect=True)
        self._table.setVisible(layer is not None)
        self.add.native.setVisible(layer is not None)
        if layer is None:
            self._title.setText("Segment an image, or select labels made here, to see their classes.")
            self._fill((), {})
            return
        self._title.setText(f"Classes of <b>{layer.name}</b>")
        self._point = tuple(self._viewer.dims.point)
        self._fill(classes_of(layer.metadata[KEY]), None)
        self._select_row()
        self._count()

    def add_class(self, new: LabelClass) -> None:
        """Add a class to the labels that are shown, and select it for painting."""
        if self._layer is None:
            return
        if new.index > np.iinfo(self._layer.data.dtype).max:
            show_failure(InputError(f"expected at most {new.index - 1} classes in these labels, found one more; convert them to int32"))
            return
        show_classes(self._layer, (*classes_of(self._layer.metadata[KEY]), new))
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
        self.adopt.native.setVisible(isinstance(layer, Labels) and not is_ours)
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
        self._pause.start()

    def _count(self) -> None:
        if self._layer is None:
            return
        if self._counter is not None:
            self._changed()
            return
        self._counter = _Counter(self._layer)
        self._counter.returned.connect(self._counted)
        self._counter.errored.connect(show_failure)
        self._counter.finished.connect(self._count_finished)
        self._counter.start()

    def _count_finished(self) -> None:
        self._counter = None

    def _counted(self, result: _Counted) -> None:
        layer, segmentation, counts, volumes = result
        if layer is not self._layer:
            self._changed()
            return
        unit = "Volume (ml)" if volumes is not None else "Pixels" if segmentation.labels.ndim == 2 else "Voxels"
        self._table.setHorizontalHeaderItem(AMOUNT, QTableWidgetItem(unit))
        self._fill(segmentation.classes, counts, volumes)
        self._select_row()

    def _fill(self, classes: tuple[LabelClass, ...], counts: dict[int, int] | None, volumes: dict[int, float] | None = None) -> None:
        named = {c.index: c for c in classes if c.index}
        labels = [*named, *sorted(set(counts or ()) - set(named))]
        self._table.blockSignals(True)
        self._table.setRowCount(len(labels))
        for row, label in enumerate(labels):
            known = named.get(label)
            count = counts.get(label, 0) if counts is not None else None
            amount = "…" if count is None else f"{count:,}" if volumes is None else f"{volumes.get(label, 0.0):,.2f}"
            name = known.name if known else f"label {label}"
            tip = f"Label {label}: click to paint {name}"
            if known and known.snomed:
                tip += f"\nSNOMED CT {known.snomed}"
            if count is not None:
                tip += f"\n{count:,} voxels"
            self._set(row, COLOR, "", tip, icon=_swatch(self._layer.get_color(label)))
            self._set(row, NAME, name, tip, label=label)
            self._set(row, AMOUNT, amount, tip)
        self._table.blockSignals(False)
        height = self._table.horizontalHeader().height() + sum(self._table.rowHeight(row) for row in range(len(labels))) + 4
        self._table.setFixedHeight(min(height, 260))

    def _set(self, row: int, column: int, text: str, tip: str, *, icon: QIcon | None = None, label: int | None = None) -> None:
        item = QTableWidgetItem(text)
        item.setToolTip(tip)
        if icon is not None:
            item.setIcon(icon)
        if label is not None:
            item.setData(Qt.ItemDataRole.UserRole, label)
        if column == AMOUNT:
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._table.setItem(row, column, item)

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self._table.item(row, column)
        assert item is not None
        return item

    def _ask_for_class(self) -> None:
        if self._layer is None:
            return
        asked = NewClass(classes_of(self._layer.metadata[KEY]), self)
        if asked.exec():
            self.add_class(asked.label_class)

    def _use_row(self, row: int, *_: int) -> None:
        if self._layer is None or row < 0:
            return
        self._layer.selected_label = int(self._item(row, NAME).data(Qt.ItemDataRole.UserRole))
        if self._layer in self._viewer.layers:
            self._viewer.layers.selection.active = self._layer

    def _select_row(self, event: Any = None) -> None:
        labels = [label for label, _, _ in self.rows()]
        self._table.blockSignals(True)
        if self._layer is not None and self._layer.selected_label in labels:
            self._table.setCurrentCell(labels.index(self._layer.selected_label), NAME)
        else:
            self._table.setCurrentCell(-1, -1)
        self._table.blockSignals(False)


_Counted = tuple[Any, Segmentation, dict[int, int], dict[int, float] | None]


class _Counter(WorkerBase):
    """Counts a layer's labels on a thread; returns (layer, what it holds, voxels by label, millilitres by label or None)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._layer = layer
        self._data = layer.data
        self._attributes = attributes_of(layer)

    def work(self) -> _Counted:
        """Runs on the thread."""
        segmentation = segmentation_of(self._data, self._attributes)
        return self._layer, segmentation, segmentation.counts(), segmentation.volumes_ml()


def _make_table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setHorizontalHeaderLabels(["", "Class", "Volume (ml)"])
    table.setToolTip("Click a class to paint it with napari's brush (key 2 or P); 1 or E erases.")
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(26)
    table.setShowGrid(False)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    header = table.horizontalHeader()
    header.setSectionResizeMode(COLOR, QHeaderView.ResizeMode.Fixed)
    header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(AMOUNT, QHeaderView.ResizeMode.ResizeToContents)
    table.setColumnWidth(COLOR, 30)
    return table


def _swatch(rgba: Any) -> QIcon:
    pixmap = QPixmap(16, 16)
    pixmap.fill(QColor(*(round(float(value) * 255) for value in (rgba if rgba is not None else (0, 0, 0, 0)))))
    icon = QIcon(pixmap)
    # Qt would tint the colour in a selected row.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
