"""Offers labels that nobody saved: after a crash, after closing without saving, after a layer was removed by mistake."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import logging
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from magicgui.widgets import PushButton
from napari.layers import Image, Layer
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ..layers.correction import image_of
from ..parts.ask import confirm
from ..parts.worker import show_failure
from .drafts import Draft, read_draft
from .unsaved import Unsaved

logger = logging.getLogger(__name__)

PLUGIN = "napari-ultralight"


class Recovery(QFrame):
    """A notice with what can be brought back, one at a time; hidden where there is nothing.

    Attributes:
        bring_back: the button that does so.
        discard: the button for the other answer; it asks once more.
    """

    def __init__(self, viewer: Any, unsaved: Unsaved, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._unsaved = unsaved
        self._offers: list[tuple[Draft, Path]] = []
        self.setObjectName("recovery")
        self._text = QLabel()
        self._text.setWordWrap(True)
        self.bring_back = PushButton(text="Bring back", tooltip="Add these labels to the viewer again, and open their image if need be.")
        self.discard = PushButton(text="Discard…", tooltip="Delete these labels for good; you are asked once more.")
        self.bring_back.changed.connect(self._bring_back)
        self.discard.changed.connect(self._discard)
        row = QHBoxLayout()
        row.addWidget(self.bring_back.native)
        row.addWidget(self.discard.native)
        layout = QVBoxLayout(self)
        layout.addWidget(self._text)
        layout.addLayout(row)
        unsaved.removed.connect(self._removed)
        self.look()

    @property
    def offers(self) -> list[Draft]:
        """What can be brought back."""
        return [draft for draft, _ in self._offers]

    def look(self) -> None:
        """Find what was left behind by docks that are gone."""
        here = {str(layer.unique_id): layer for layer in self._viewer.layers}
        for path in self._unsaved.folder.left_behind():
            if path.stem in here:
                # The dock was closed, its layer was not.
                self._unsaved.folder.keep(path, path.stem)
                self._unsaved.look_at(here[path.stem])
                continue
            draft = read_draft(path)
            if draft is None:
                logger.warning("labels that were kept in %s cannot be read", path)
                continue
            self._offers.append((draft, path))
        self._show()

    def _removed(self, draft: Draft) -> None:
        self._offers.insert(0, (draft, self._unsaved.folder.path_of(draft.key)))
        self._show()

    def _bring_back(self) -> None:
        draft, path = self._offers.pop(0)
        layer = Layer.create(*draft.layer())
        layer.brush_size = 5
        if image_of(layer, self._viewer.layers) is None and draft.image_path is not None and draft.image_path.exists():
            self._open(draft.image_path)
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        # A draft is there at every moment: first under its new name, then no more under the old one.
        self._unsaved.folder.keep(path, str(layer.unique_id))
        self._unsaved.look_at(layer)
        self._show()

    def _open(self, path: Path) -> None:
        known = list(self._viewer.layers)
        try:
            self._viewer.open(str(path), plugin=PLUGIN)
        except Exception as error:  # noqa: BLE001 - the labels come back whatever is wrong with the image
            show_failure(error)
        if not any(isinstance(layer, Image) for layer in self._viewer.layers if layer not in known):
            logger.warning("the image %s was not opened", path)

    def _discard(self) -> None:
        draft, path = self._offers[0]
        if not confirm(self, f"Delete the unsaved labels “{draft.name}” for good?", "Delete"):
            return
        self._offers.pop(0)
        path.unlink(missing_ok=True)
        self._show()

    def _show(self) -> None:
        self.setVisible(bool(self._offers))
        if not self._offers:
            return
        draft, path = self._offers[0]
        when = datetime.fromtimestamp(path.stat().st_mtime).strftime("%d %b, %H:%M") if path.exists() else "just now"
        more = f" ({len(self._offers) - 1} more)" if len(self._offers) > 1 else ""
        lacking = ""
        if draft.image_path is not None and not draft.image_path.exists():
            lacking = "<br>Their image is no longer where it was; open it first."
        self._text.setText(f"<b>Labels that were not saved</b>{more}<br>{escape(draft.name)}, {when}{lacking}")
