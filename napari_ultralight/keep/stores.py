"""Where corrections are kept: one store for each model, chosen once."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import json
import logging
from pathlib import Path

from magicgui.widgets import PushButton
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from ultralightunet.corrections import Store, default_store
from ultralightunet.corrections.files import as_json
from ultralightunet.disk import replace_durably
from ultralightunet.errors import UltraLightError
from ultralightunet.home import home

from ..parts.path_label import PathLabel
from ..parts.worker import show_failure

logger = logging.getLogger(__name__)


class Stores(QObject):
    """Which store belongs to which model; remembered in `home()/stores.json` where it is not the default.

    Signals: `changed()`.
    """

    changed = Signal()

    def of(self, model: str) -> Path:
        """The store of a model, by its name."""
        chosen = _read().get(model)
        return Path(chosen) if chosen else default_store(model)

    def choose(self, model: str, folder: Path) -> None:
        """Keep the corrections of a model in `folder` from now on.

        Raises:
            InputError: if something else lies there.
            OSError: if the choice cannot be noted.
        """
        Store(folder)
        chosen = {**_read(), model: str(folder)}
        if folder == default_store(model):
            del chosen[model]
        home().mkdir(parents=True, exist_ok=True)
        replace_durably(_path(), as_json(chosen))
        self.changed.emit()


class StoreRow(QWidget):
    """Shows where corrections go, and lets the user choose another folder.

    Attributes:
        change: the button.
    """

    def __init__(self, stores: Stores, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stores = stores
        self._model = ""
        self._path = PathLabel()
        self.change = PushButton(text="Change…", tooltip="Keep the corrections for this model in another folder, also next time.")
        self.change.changed.connect(self._ask)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._path, 1)
        row.addWidget(self.change.native)
        stores.changed.connect(self._show)

    def show_model(self, model: str) -> None:
        """Show the store of a model, by its name; "" for none."""
        self._model = model
        self._show()

    def _show(self) -> None:
        self.change.enabled = bool(self._model)
        if not self._model:
            self._path.show_path("")
            return
        folder = str(self._stores.of(self._model))
        self._path.show_path(folder)
        self._path.setToolTip(f"Corrections for {self._model} are kept in\n{folder}\nand are never changed. Nothing there names a patient.")

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self, f"Folder for corrections of {self._model}", str(self._stores.of(self._model).parent)
        )
        if chosen:
            self.choose(Path(chosen))

    def choose(self, folder: Path) -> None:
        """Use a folder; what stands in the way is told to the user."""
        try:
            self._stores.choose(self._model, folder)
        except (UltraLightError, OSError) as error:
            show_failure(error)


def _path() -> Path:
    return home() / "stores.json"


def _read() -> dict[str, str]:
    try:
        found = json.loads(_path().read_bytes())
        return {str(model): str(folder) for model, folder in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        logger.warning("the note of where corrections are kept cannot be read: %s", error)
        return {}
