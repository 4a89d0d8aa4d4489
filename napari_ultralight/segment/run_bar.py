"""Segment, Cancel, and how far it has come."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from magicgui.widgets import ProgressBar, PushButton
from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ultralightunet.events import Progress
from ultralightunet.inference.session import Request, Session
from ultralightunet.volume import Segmentation

from ..layers.conversion import Picture
from ..parts.job import Job
from ..parts.told import Told
from ..parts.wrapped_label import WrappedLabel


class RunBar(Told, QWidget):
    """Two buttons and a progress bar; runs one segmentation at a time and is ready for the next whatever became of it.

    Signals: `requested()` when the user wants to segment; `segmented(Segmentation, Layer)` when that is done.

    Attributes:
        segment: the button that starts.
        cancel: the button that stops.
        progress: the bar.
    """

    requested = Signal()
    segmented = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = Session()
        self._job = Job(self)
        self._job.progressed.connect(self._show_progress)
        self._job.returned.connect(self._returned)
        # napari's notification shows a long sentence cut short, and goes away.
        self._job.failed.connect(self.say)
        self._job.ended.connect(self._ended)
        self._began = 0.0
        self.segment = PushButton(
            text="Segment", tooltip="Label the chosen image with the chosen model; makes a new labels layer (Ctrl+Shift+G)."
        )
        self.cancel = PushButton(text="Cancel", enabled=False, tooltip="Stop; nothing is added (Ctrl+Shift+X).")
        self.progress = ProgressBar(value=0, min=0, max=1, tooltip="How far the segmentation has come.")
        self._status = WrappedLabel("Ready")
        self.segment.changed.connect(self._ask)
        self.cancel.changed.connect(self.stop)
        self.segment.native.setObjectName("segment")
        self.progress.native.setTextVisible(False)
        self.progress.native.setFixedHeight(10)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.segment.native, 2)
        buttons.addWidget(self.cancel.native, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        layout.addWidget(self.progress.native)
        layout.addWidget(self._status)

    def start(self, picture: Picture, request: Request) -> None:
        """Segment `picture` on another thread; does nothing while another segmentation is under way."""
        if self._job.is_running:
            return
        self._began = time.perf_counter()
        self.segment.enabled = False
        self.cancel.enabled = True
        self._show_progress(Progress("Starting", 0, 1))
        self._job.start(lambda: _segmenting(self._session, picture, request))

    def stop(self) -> None:
        """Cancel what is under way; it ends within one window."""
        if self._job.is_running:
            self._job.stop()
            self.cancel.enabled = False
            self._status.setText("Cancelling…")

    def abandon(self) -> None:
        """Cancel when the widget is gone: touches nothing of Qt's."""
        self._job.stop()

    def add(self, text: str) -> None:
        """Say something more."""
        self._status.setText(
            f"{self.status}. {text}" if self.status and not self.status.endswith((".", "?")) else f"{self.status} {text}".strip()
        )

    def _ask(self) -> None:
        self.requested.emit()

    def _show_progress(self, event: Progress) -> None:
        is_counted = event.total > 1
        # Qt shows a bar from 0 to 0 as busy.
        self.progress.max = event.total if is_counted else 0
        self.progress.value = event.done if is_counted else 0
        self._status.setText(f"{event.stage}: {event.done} of {event.total}" if is_counted else f"{event.stage}…")

    def _returned(self, result: tuple[Segmentation, Any]) -> None:
        facts = result[0].facts
        seconds = time.perf_counter() - self._began
        where = {"openvino": "OpenVINO", "torch": "PyTorch"}.get(facts.get("engine", ""), "")
        self._status.setText(f"Done in {seconds:.1f} s ({where}, {str(facts.get('device', '')).upper()})")
        self.segmented.emit(*result)

    def _ended(self, was_cancelled: bool) -> None:
        if was_cancelled:
            self._status.setText("Cancelled")
        self.segment.enabled = True
        self.cancel.enabled = False
        self.progress.max = 1
        self.progress.value = 0


def _segmenting(session: Session, picture: Picture, request: Request) -> Generator[Progress, None, tuple[Segmentation, Any]]:
    """Labels, and the layer that shows them: made here, because napari imports pandas for it, which would hold the window up."""
    yield Progress("Loading", 0, 1)
    segmentation = yield from session.segment(picture.volume(), request)
    made = picture.labels_layer(segmentation, name=f"{picture.name_with_index} - {request.model.name}")
    return segmentation, Layer.create(*made)
