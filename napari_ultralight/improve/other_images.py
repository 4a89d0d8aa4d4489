"""A folder of images without labels, against forgetting."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from pathlib import Path

from magicgui.widgets import PushButton
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QWidget

from ..parts.path_label import PathLabel

_NONE = "none"


class OtherImages(QWidget):
    """Shows the folder that was chosen, and lets one choose or forget it.

    Attributes:
        folder: that was chosen, or None.
        choose: the button that asks for one.
        forget: the button that takes it back.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder: Path | None = None
        self.choose = PushButton(
            text="Folder…",
            tooltip="Images of the kind that the model labels well, without labels: half of them keep up its old skill, half measure how "
            "far the new version has moved away from it.",
        )
        self.forget = PushButton(text="None", tooltip="Do without other images.")
        self._shown = PathLabel()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Other images"))
        row.addWidget(self._shown, 1)
        row.addWidget(self.forget.native)
        row.addWidget(self.choose.native)
        self.choose.changed.connect(self._ask)
        self.forget.changed.connect(lambda: self.use(None))
        self.use(None)

    def use(self, folder: Path | None) -> None:
        """Take a folder, or none."""
        self.folder = folder
        self._shown.show_path(str(folder or _NONE))
        self._shown.setToolTip(str(folder or ""))
        self.forget.native.setVisible(folder is not None)

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Images without labels, of the kind that the model is for", str(Path.home()))
        if chosen:
            self.use(Path(chosen))
