"""Notices labels that were changed and not saved, and keeps them safe meanwhile."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from ultralightunet.errors import UltraLightError
from ultralightunet.events import Progress

from ..layers.facts import SAVED
from ..layers.grid import KEY
from ..layers.helpers import is_helper
from ..layers.packed import digest
from ..parts.job import Job
from .drafts import Draft, DraftFolder

logger = logging.getLogger(__name__)

PAUSE_MS = 1500
"""How long after a stroke it is kept on disk at the latest, and how long the next draft waits for the strokes after it."""


class Unsaved(QObject):
    """Watches the labels layers of a viewer.

    A layer counts as unsaved while its labels are others than when they were predicted or last saved: undoing everything makes it saved
    again. It is marked at once when it is painted; a moment after the first stroke a draft is written on another thread, however quickly
    the next strokes follow.

    Signals: `changed()` when other layers than before are unsaved; `removed(Draft)` when an unsaved layer was removed from the viewer.

    Attributes:
        folder: where drafts go.
        trouble: why the last draft could not be written, or "".
    """

    changed = Signal()
    removed = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.folder = DraftFolder()
        self.trouble = ""
        self._viewer = viewer
        self._slots: dict[Any, Any] = {}
        self._edited: set[Any] = set()
        self._to_check: list[Any] = []
        self._leaving: list[Any] = []
        self._unsaved: set[Any] = set()
        self._written: dict[str, str] = {}
        # A draft must not be replaced by an older one.
        self._lock = Lock()
        self._at_work: Any = None
        self._job = Job(self)
        self._job.returned.connect(self._checked)
        self._job.ended.connect(self._go_on)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._check)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        for layer in viewer.layers:
            self._watch(layer)

    @property
    def layers(self) -> list[Any]:
        """The layers in the viewer with labels that are not saved."""
        return [layer for layer in self._viewer.layers if layer in self._unsaved]

    @property
    def is_settled(self) -> bool:
        """Whether everything is on disk that should be."""
        return not (self._to_check or self._job.is_running)

    def look_at(self, layer: Any) -> None:
        """Check soon whether a layer is unsaved."""
        self._edited.add(layer)
        if layer not in self._to_check:
            self._to_check.append(layer)
        # Begun anew at each stroke it would never end while someone paints without a rest.
        if not self._pause.isActive() and not self._job.is_running:
            self._pause.start()

    def check_now(self) -> None:
        """Look at what changed without waiting for more, on another thread."""
        self._pause.stop()
        self._check()

    def flush(self) -> None:
        """Write at once what is not on disk yet."""
        waiting = [*self._to_check, *([self._at_work] if self._at_work is not None and self._at_work not in self._to_check else [])]
        self._to_check.clear()
        for layer in waiting:
            self._checked(self._look(layer))

    def forget(self, layers: list[Any]) -> None:
        """Drop the drafts of layers: the user wants them no more."""
        for layer in layers:
            self.folder.remove(_key(layer))
            self._unsaved.discard(layer)
        self._to_check = [layer for layer in self._to_check if layer not in layers]
        self.changed.emit()

    def close_down(self) -> None:
        """Let go of the viewer; drafts of what is unsaved stay, to be offered next time."""
        self._pause.stop()
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)
        for layer in [*self._slots]:
            self._let_go(layer)
        self._job.stop()
        self.flush()
        self.folder.close()

    def _watch(self, layer: Any) -> None:
        if not isinstance(layer, Labels) or layer in self._slots or layer.multiscale or is_helper(layer):
            return
        paint, look, redraw = partial(self._painted, layer), partial(self._changed, layer), partial(self._redrawn, layer)
        self._slots[layer] = (paint, look, redraw)
        for emitter in (layer.events.paint, layer.events.data):
            emitter.connect(paint)
        layer.events.metadata.connect(look)
        # Undo and redo do no more than redraw the layer, and so does scrolling.
        layer.events.set_data.connect(redraw)
        if SAVED in layer.metadata.get(KEY, {}):
            self.look_at(layer)

    def _let_go(self, layer: Any) -> None:
        paint, look, redraw = self._slots.pop(layer)
        for emitter in (layer.events.paint, layer.events.data):
            emitter.disconnect(paint)
        layer.events.metadata.disconnect(look)
        layer.events.set_data.disconnect(redraw)

    def _painted(self, layer: Any, event: Any = None) -> None:
        self.look_at(layer)
        if layer not in self._unsaved:
            self._unsaved.add(layer)
            self.changed.emit()

    def _changed(self, layer: Any, event: Any = None) -> None:
        self.look_at(layer)

    def _redrawn(self, layer: Any, event: Any = None) -> None:
        if layer in self._edited and layer not in self._to_check:
            self.look_at(layer)

    def _inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _removed(self, event: Any) -> None:
        layer = event.value
        if layer not in self._slots:
            return
        self._let_go(layer)
        self._edited.discard(layer)
        if layer in self._unsaved or layer in self._to_check or layer is self._at_work:
            # Nobody paints in it any more: what it holds is looked at on another thread, and offered if it was not saved.
            self._leaving.append(layer)
            self._to_check = [layer, *(other for other in self._to_check if other is not layer)]
            self.check_now()
        if layer in self._unsaved:
            self._unsaved.discard(layer)
            self.changed.emit()

    def _check(self) -> None:
        if self._job.is_running or not self._to_check:
            # What waits is looked at once the job is done.
            return
        layer = self._at_work = self._to_check.pop(0)
        self._job.start(lambda: self._looking(layer))

    def _go_on(self, was_cancelled: bool = False) -> None:
        self._at_work = None
        if self._leaving:
            self._check()
        elif self._to_check:
            self._pause.start()

    def _checked(self, result: tuple[Any, str, str]) -> None:
        if result[0] in self._leaving and result[0] not in self._to_check:
            self._leaving.remove(result[0])
            if result[1]:
                self.removed.emit(Draft.of(result[0]))
            return
        before = (result[0] in self._unsaved, self.trouble)
        layer, written, self.trouble = result
        self._written[_key(layer)] = "" if self.trouble else written
        if written and layer not in self._leaving:
            self._unsaved.add(layer)
        elif layer not in self._to_check:
            # Else it was painted again since it was looked at.
            self._unsaved.discard(layer)
        if before != (layer in self._unsaved, self.trouble):
            self.changed.emit()

    def _looking(self, layer: Any) -> Generator[Progress, None, tuple[Any, str, str]]:
        yield Progress("Keeping", 0, 1)
        return self._look(layer)

    def _look(self, layer: Any) -> tuple[Any, str, str]:
        """Write a draft of a layer that needs one, or drop the one that it has.

        Returns:
            The layer, the digest of what is unsaved ("" if nothing), and why the draft could not be written ("" if it could).
        """
        with self._lock:
            draft = Draft.of(layer)
            data = np.array(draft.data)
            now = digest(data)
            is_saved = now == draft.metadata[SAVED] if SAVED in draft.metadata else not data.any()
            if is_saved:
                self.folder.remove(draft.key)
                return layer, "", ""
            if now != self._written.get(draft.key):
                try:
                    self.folder.write(replace(draft, data=data))
                except (OSError, UltraLightError) as error:
                    logger.warning("labels could not be kept on disk: %s", error)
                    return layer, now, str(error)
            return layer, now, ""


def _key(layer: Any) -> str:
    return str(layer.unique_id)
