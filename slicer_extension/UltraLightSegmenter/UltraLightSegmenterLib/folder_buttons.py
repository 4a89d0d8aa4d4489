"""The buttons of the panel that ask for a folder first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from .keeping import Keeping
from .learning import Learning
from .model_list import ModelList

Attempt = Callable[[Callable[[], None], Any], None]


class FolderButtons:
    """Add a model, change the data folder or the store, export, and choose series or other images.

    Args:
        ui: the widgets by name.
        ask: shows a dialog with a title and a folder to start from, and returns the chosen folder, "" for none.
        attempt: does something that may be impossible, and then says why in a label.
        parts: of the panel, which use the folders.
        show_store: called when another store was chosen.
    """

    def __init__(
        self,
        ui: Any,
        ask: Callable[[str, str], str],
        attempt: Attempt,
        parts: tuple[ModelList, Keeping, Learning],
        show_store: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._ask = ask
        self._attempt = attempt
        self._models, self._keeping, self._learning = parts
        self._show_store = show_store

    def add_model(self) -> None:
        """Copy a model folder to the user's models."""
        folder = self._ask(_("Add a model folder"), "")
        if folder:
            self._attempt(lambda: self._models.add(folder), self._ui.statusLabel)

    def change_home(self) -> None:
        """Take another folder for models and corrections."""
        folder = self._ask(_("Folder for models and corrections"), self._models.home)
        if folder:
            self._attempt(lambda: self._models.move_home(folder), self._ui.statusLabel)

    def change_store(self) -> None:
        """Keep the corrections of the chosen model elsewhere."""
        folder = self._ask(_("Store of corrections"), self._keeping.store)
        if folder and self._models.model:
            self._keeping.choose_store(self._models.model["id"], folder)
            self._show_store()

    def export(self) -> None:
        """Write the store for other tools."""
        folder = self._ask(_("Export into a new or empty folder"), "")
        if folder:
            self._attempt(lambda: self._keeping.export(folder), self._ui.keepStatus)

    def choose_dicom(self) -> None:
        """Say where the series are that the images came from."""
        folder = self._ask(_("Folder of the DICOM series that the images came from"), self._keeping.dicom_source)
        if folder:
            self._keeping.use_dicom_source(folder)

    def choose_images(self) -> None:
        """Say where other images are that keep up a model's old skill."""
        folder = self._ask(_("Images without labels, of the kind that the model is for"), self._learning.images)
        if folder:
            self._learning.use_images(folder)
