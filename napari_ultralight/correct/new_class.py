"""A new class for labels: its name and colour."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Sequence

from magicgui.widgets import LineEdit, PushButton
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QDialog, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from ultralightunet.corrections.classes import named_classes
from ultralightunet.models import LabelClass


class NewClass(QDialog):
    """Asks for a name and a colour.

    Args:
        known: the classes that there are.
        index: the label that gets a class; None for the next one.

    Attributes:
        name: of the class.
        color: the button that shows the colour, and lets one choose another.
        buttons: OK and Cancel; OK only for a name that is new.
    """

    def __init__(self, known: Sequence[LabelClass], parent: QWidget | None = None, *, index: int | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("New class")
        self._known = {c.name.casefold() for c in known}
        self._index = max((c.index for c in known), default=0) + 1 if index is None else index
        # The names are not used, only the colour that the last of so many classes has.
        self._rgb = named_classes([str(n) for n in range(self._index)])[-1].color
        self.name = LineEdit(tooltip="What is labelled, e.g. “tumour”; a new version of the model will know it.")
        self.color = PushButton(text="Change…", tooltip="The colour of its labels.")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        form = QFormLayout()
        form.addRow("Label", QLabel(str(self._index)))
        form.addRow("Name", self.name.native)
        form.addRow("Colour", self.color.native)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.buttons)
        self.name.native.textChanged.connect(self._check)
        self.color.changed.connect(self._ask_for_color)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._check()
        self._show_color()

    @property
    def label_class(self) -> LabelClass:
        """The class that was described."""
        return LabelClass(self._index, self.name.native.text().strip(), self._rgb)

    def use_color(self, red: int, green: int, blue: int) -> None:
        """Take a colour."""
        self._rgb = (red, green, blue)
        self._show_color()

    def _check(self) -> None:
        name = self.name.native.text().strip()
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(name) and name.casefold() not in self._known)

    def _ask_for_color(self) -> None:
        chosen = QColorDialog.getColor(QColor(*self._rgb), self, "Colour of the class")
        if chosen.isValid():
            self.use_color(chosen.red(), chosen.green(), chosen.blue())

    def _show_color(self) -> None:
        red, green, blue = self._rgb
        dark = red * 0.3 + green * 0.6 + blue * 0.1 > 140
        self.color.native.setStyleSheet(f"background-color: rgb({red}, {green}, {blue}); color: {'black' if dark else 'white'};")
