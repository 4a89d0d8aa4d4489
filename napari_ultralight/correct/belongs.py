"""Which scan labels belong to that came from a file: nobody but the user may know."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Image
from qtpy.QtWidgets import QFormLayout, QWidget

from ..layers.active_labels import ActiveLabels
from ..layers.correction import lies_on
from ..layers.facts import OPENED, set_facts
from ..layers.grid import KEY
from ..parts.wrapped_label import WrappedLabel


class Belongs(QWidget):
    """Asks for the scan of the labels in use, while it is not known; hidden for all others.

    Where one scan alone lies where the labels do, it is chosen; the user may choose again.

    Attributes:
        scan: its value is an image layer, or None for none chosen yet.
    """

    def __init__(self, viewer: Any, active: ActiveLabels, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._active = active
        self.scan = ComboBox(choices=self._choices, nullable=False, tooltip="The scan that these labels were made on.")
        self._text = WrappedLabel()
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Labels of", self.scan.native)
        form.addRow(self._text)
        self.scan.changed.connect(self._choose)
        active.chosen.connect(self.ask)
        viewer.layers.events.inserted.connect(self.ask)
        viewer.layers.events.removed.connect(self.ask)
        self.ask()

    def ask(self, event: Any = None) -> None:
        """Show what is known of the labels in use."""
        layer = self._active.layer
        is_opened = layer is not None and OPENED in layer.metadata.get(KEY, {})
        self.setVisible(is_opened)
        if not is_opened:
            return
        fitting = self._fitting()
        known = [image for image in fitting if str(image.unique_id) == layer.metadata[KEY].get("image_id")]
        with self.scan.changed.blocked():
            self.scan.reset_choices()
            self.scan.value = known[0] if known else fitting[0] if len(fitting) == 1 else None
        if len(fitting) == 1 and not known:
            self._choose()
        self._text.setText("" if fitting else "No open scan lies where these labels do: open theirs.")
        self._text.setVisible(not fitting)

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this widget."""
        self._viewer.layers.events.inserted.disconnect(self.ask)
        self._viewer.layers.events.removed.disconnect(self.ask)

    def _fitting(self) -> list[Any]:
        return [image for image in self._viewer.layers if isinstance(image, Image) and lies_on(self._active.layer, image)]

    def _choices(self, *_: Any) -> list[tuple[str, Any]]:
        layer = self._active.layer
        return [("choose the scan…", None), *((image.name, image) for image in ([] if layer is None else self._fitting()))]

    def _choose(self, *_: Any) -> None:
        layer, image = self._active.layer, self.scan.value
        if layer is None:
            return
        facts = {key: value for key, value in layer.metadata[KEY].items() if key not in ("image", "image_id")}
        if image is not None:
            facts |= {"image": image.name, "image_id": str(image.unique_id)}
        set_facts(layer, facts)
