"""Export: the corrections of a store in the layout of another tool."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from magicgui.widgets import ComboBox, PushButton
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ultralightunet.corrections import Store
from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.events import Progress
from ultralightunet.exports import exporting

from ..parts.job import Job
from ..parts.told import Told
from ..parts.worker import show_failure

DICOM_SEG = "dicom-seg"

FORMATS = (
    ("nnU-Net", "nnunet"),
    ("Decathlon (MONAI)", "msd"),
    ("BIDS", "bids"),
    ("DICOM SEG", DICOM_SEG),
    ("3D Slicer (seg.nrrd)", "seg-nrrd"),
    ("NIfTI", "nifti"),
)


class Export(Told, QWidget):
    """A format, a button, and how far it has come.

    Attributes:
        format: its value is a name that the core knows.
        button: asks for a folder and exports.
        source: for DICOM SEG, asks for the folder with the series.
    """

    def __init__(self, store: Callable[[], Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._source: Path | None = None
        self._job = Job(self)
        self._job.progressed.connect(self._show_progress)
        self._job.returned.connect(self._exported)
        self._job.failed.connect(self.say)
        self._job.ended.connect(self._ended)
        self.format = ComboBox(choices=FORMATS, tooltip="The layout of the copy: for training with another tool, or for another viewer.")
        self.button = PushButton(
            text="Export…", tooltip="Copy the latest correction of each case, under pseudonyms, into a folder that you choose."
        )
        self.source = PushButton(
            text="Source…", tooltip="DICOM segmentations refer to the series that the images came from: choose the folder that holds them."
        )
        self._source_text = QLabel("the folder of the DICOM series")
        self._source_row = QWidget()
        row = QHBoxLayout(self._source_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.source.native)
        row.addWidget(self._source_text, 1)
        first = QHBoxLayout()
        first.addWidget(QLabel("Export as"))
        first.addWidget(self.format.native, 1)
        first.addWidget(self.button.native)
        self._status = QLabel()
        self._status.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(first)
        layout.addWidget(self._source_row)
        layout.addWidget(self._status)
        self.format.changed.connect(self._show_source)
        self.button.changed.connect(self._ask)
        self.source.changed.connect(self._ask_for_source)
        self._show_source()
        self.say("")

    def export_to(self, folder: Path) -> None:
        """Export into `folder`, or into a new folder in it if it holds something."""
        try:
            store = Store(self._store())
            if not store.exists:
                raise InputError("expected corrections to export, found none saved yet; save one first")
            if self.format.value == DICOM_SEG and self._source is None:
                raise InputError("expected the DICOM series that the images came from, found none; choose their folder with “Source…”")
            target = _free(folder, f"{store.folder.name}-{self.format.value}")
        except UltraLightError as error:
            self.say(show_failure(error))
            return
        format_name, source = self.format.value, self._source if self.format.value == DICOM_SEG else None
        self._job.start(lambda: exporting(store, target, format=format_name, dicom_source=source))
        self.button.enabled = False
        self.say("Exporting…")

    def use_source(self, folder: Path) -> None:
        """Take the DICOM series in `folder`, for DICOM SEG."""
        self._source = folder
        self._source_text.setText(folder.name)
        self._source_text.setToolTip(str(folder))

    def close_down(self) -> None:
        """Cancel; nothing half-written is left."""
        self._job.stop()

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export into this folder", str(Path.home()))
        if chosen:
            self.export_to(Path(chosen))

    def _ask_for_source(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of the DICOM series", str(Path.home()))
        if chosen:
            self.use_source(Path(chosen))

    def _show_source(self, *_: Any) -> None:
        self._source_row.setVisible(self.format.value == DICOM_SEG)

    def _show_progress(self, event: Progress) -> None:
        self.say(f"{event.stage}: {event.done} of {event.total}")

    def _exported(self, folder: Path) -> None:
        self.say(f"Exported to {folder}")

    def _ended(self, was_cancelled: bool) -> None:
        self.button.enabled = True


def _free(folder: Path, name: str) -> Path:
    """`folder` if it is new or empty, else a folder in it that is."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return folder
    except OSError as error:
        raise InputError(f"expected a folder to export to, found {folder}: {error.strerror}; choose another folder") from error
    names = (name, *(f"{name}-{n}" for n in range(2, 1000)))
    return next(folder / each for each in names if not (folder / each).exists())
