"""Which model is meant, and what it is for."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

from magicgui.widgets import ComboBox, PushButton
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from ultralightunet.errors import UltraLightError
from ultralightunet.home import home
from ultralightunet.models import Model, install_model, list_models, set_current
from ultralightunet.models.registry import current_of

from ..parts.worker import show_failure
from ..parts.wrapped_label import WrappedLabel


class ModelChoice(QWidget):
    """A combo box of the models, a button that adds one, and a card that says what the chosen one is for.

    Of a model with several versions the one in use is listed; the dock's last part goes from one to another.

    Attributes:
        combo: the combo box; its value is the model's folder, as text.
        add: the button.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models: dict[str, Model] = {}
        self.combo = ComboBox(choices=self._choices, nullable=False, tooltip="What to segment. The card below says what the model is for.")
        self.add = PushButton(text="Add…", tooltip="Add a model of your own: choose its folder, the one that holds “configs” and “models”.")
        self.add.changed.connect(self._ask_for_folder)
        self.add.native.setSizePolicy(self.add.native.sizePolicy().Policy.Fixed, self.add.native.sizePolicy().Policy.Fixed)
        self._card = WrappedLabel()
        self._card.setObjectName("card")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.combo.native, 1)
        row.addWidget(self.add.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self._card)
        self.combo.changed.connect(self._show_card)
        self.reload()

    @property
    def model(self) -> Model | None:
        """The chosen model, or None where there is none."""
        return self._models.get(self.combo.value or "")

    def reload(self) -> None:
        """List the shipped and installed models anew; the chosen one stays, in the version that is in use now."""
        chosen = self.model.name if self.model is not None else ""
        by_name: dict[str, list[Model]] = {}
        for model in list_models():
            by_name.setdefault(model.name, []).append(model)
        current = [current_of(models) for models in by_name.values()]
        self._models = {str(model.folder): model for model in current}
        self.combo.reset_choices()
        again = next((folder for folder, model in self._models.items() if model.name == chosen), None)
        if again is not None:
            self.combo.value = again
        self._show_card()

    def add_folder(self, folder: Path) -> None:
        """Copy a model folder to the user's models and choose it; a folder that holds no usable model is told to the user."""
        try:
            model = install_model(folder)
            set_current(model.name, model.version)
        except UltraLightError as error:
            show_failure(error)
            return
        self.reload()
        self.combo.value = str(model.folder)

    def use_home(self, folder: Path) -> None:
        """Keep models, corrections and caches in `folder` from now on, until napari closes."""
        os.environ["ULTRALIGHT_HOME"] = str(folder)
        self.reload()

    def _choices(self, *_: object) -> list[tuple[str, str]]:
        return [(model.name, folder) for folder, model in self._models.items()]

    def _ask_for_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Add a model folder", str(Path.home()))
        if chosen:
            self.add_folder(Path(chosen))

    def _show_card(self, *_: object) -> None:
        model = self.model
        if model is None:
            self._card.setText(f"No model found, neither shipped nor in {escape(str(home()))}. Add a model folder.")
            return
        names = ", ".join(c.name for c in model.classes if c.index)
        lines = [
            f"<b>{escape(model.title)}</b>",
            f"{escape(model.modality)} · {model.spatial_dims}D · {escape(names)}",
            f"<span style='color: #9aa0a6'>{escape(model.id)} · licence {escape(model.licence)}</span>",
        ]
        if model.intended_use:
            lines.append(escape(model.intended_use))
        self._card.setText("<br>".join(lines))
        scores = "\n".join(f"{name}: {value}" for name, value in model.scores.items())
        self._card.setToolTip(f"{model.folder}\n{scores}".strip())
