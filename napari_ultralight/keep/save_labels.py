"""Save labels…: the labels in use into a file, beside their image unless the user says otherwise."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from ultralightunet.errors import UltraLightError
from ultralightunet.events import Progress
from ultralightunet.io import write_labels
from ultralightunet.volume import Segmentation

from ..layers.active_labels import ActiveLabels
from ..layers.conversion import attributes_of, segmentation_of
from ..layers.facts import note_saved
from ..layers.names import proposed_name, with_suffix
from ..layers.packed import digest
from ..parts.job import Job
from ..parts.told import Told
from ..parts.worker import show_failure
from ..parts.wrapped_label import WrappedLabel

_FILTERS = (
    ("NIfTI", "*.nii.gz *.nii"),
    ("NRRD", "*.nrrd"),
    ("MetaImage", "*.mha"),
    ("PNG, a picture's labels", "*.png"),
    ("TIFF", "*.tif *.tiff"),
)


class SaveLabels(Told, QWidget):
    """A button, and what became of it.

    Attributes:
        button: asks for a name and writes.
    """

    def __init__(self, viewer: Any, active: ActiveLabels, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._active = active
        self._layer: Any = None
        self._job = Job(self)
        self._job.returned.connect(self._written)
        self._job.failed.connect(self.say)
        self._job.ended.connect(self._follow)
        self.button = PushButton(
            text="Save labels…", tooltip="Write these labels into a file, on the grid of their image: .nii.gz, .nrrd, .mha or .png."
        )
        self._status = WrappedLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button.native)
        layout.addWidget(self._status)
        self.button.changed.connect(self._ask)
        active.chosen.connect(self._chosen)
        self._chosen()

    def save_as(self, path: Path) -> None:
        """Write the labels in use; a name without a suffix that can be written gets that of their image's format."""
        layer = self._active.layer
        if layer is None or self._job.is_running:
            return
        images = [other for other in self._viewer.layers if isinstance(other, Image)]
        try:
            # A copy, because painting goes on; its place is looked up here, where nobody changes a layer meanwhile.
            data = np.array(layer.data)
            made = segmentation_of(data, attributes_of(layer), images)
            target = with_suffix(path, made)
        except UltraLightError as error:
            self.say(show_failure(error))
            return
        self._layer = layer
        self._job.start(lambda: _writing(made, data, target))
        self.say("Writing…")
        self._follow()

    def _ask(self) -> None:
        layer = self._active.layer
        if layer is None:
            return
        start = proposed_name(layer.name, layer.metadata)
        filters = ";;".join(("Labels (" + " ".join(patterns for _, patterns in _FILTERS) + ")", *(f"{name} ({p})" for name, p in _FILTERS)))
        chosen, _ = QFileDialog.getSaveFileName(self, "Save labels", str(start), filters)
        if chosen:
            self.save_as(Path(chosen))

    def _written(self, result: tuple[Path, str]) -> None:
        path, saved = result
        if self._layer in self._viewer.layers:
            note_saved(self._layer, saved)
        self.say(f"Saved as {path}")

    def _chosen(self) -> None:
        self.say("")
        self._follow()

    def _follow(self, *_: Any) -> None:
        self.button.enabled = self._active.layer is not None and not self._job.is_running


def _writing(made: Segmentation, data: Any, target: Path) -> Generator[Progress, None, tuple[Path, str]]:
    yield Progress("Writing", 0, 1)
    return write_labels(made, target), digest(data)
