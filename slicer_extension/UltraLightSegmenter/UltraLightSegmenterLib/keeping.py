"""The part of the panel that keeps corrections and hands them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .logic import Correction, UltraLightSegmenterLogic
from .process import Facts, Listener
from .scopes import checked
from .segmentations import facts_of

FORMATS = {
    "nnunet": "nnU-Net",
    "msd": "Medical Segmentation Decathlon",
    "bids": "BIDS",
    "dicom-seg": "DICOM SEG",
    "seg-nrrd": "Slicer (.seg.nrrd)",
    "nifti": "NIfTI",
}

SHOWN_OF_A_PATH = 34
"""Letters of a folder's path that a panel has room for."""


class Keeping:
    """Save correction and Export.

    Attributes:
        changed: called after the store has changed.
    """

    def __init__(self, ui: Any, logic: UltraLightSegmenterLogic, say: Callable[[str], None]) -> None:
        self._ui = ui
        self._logic = logic
        self._say = say
        self._chosen: dict[str, str] = {}
        self._folder = ""
        self._classes: list[Facts] = []
        self.changed: Callable[[], None] = lambda: None
        for title in FORMATS.values():
            ui.formatSelector.addItem(title)

    @property
    def store(self) -> str:
        """The folder of the store in use, "" before it is known."""
        return self._folder

    def choose_store(self, model: str, folder: str) -> None:
        """Keep a model's corrections in another folder, for this session."""
        self._chosen[model.partition("@")[0]] = folder

    def folder_for(self, model: str) -> str:
        """The folder that was chosen for a model, "" for its own."""
        return self._chosen.get(model.partition("@")[0], "")

    def show(self, facts: Facts) -> None:
        """Show what a store holds."""
        self._folder = facts["store"]
        self._classes = facts["classes"]
        show_path(self._ui.storeText, self._folder)
        self._ui.storeStatus.text = facts["newer"] or _counted(facts["cases"], facts["holdout"])
        self._ui.exportButton.enabled = bool(facts["cases"])
        self._ui.saveButton.enabled = not facts["newer"]

    def save(self, choice: Any, model: Facts) -> None:
        """Keep the chosen segmentation.

        Raises:
            Problem: if it cannot be kept.
        """
        node = choice.segmentation
        made_by = facts_of(node).get("model", "") if node is not None else ""
        self._logic.save_correction(
            Correction(
                segmentation=node,
                store=self._folder,
                model=made_by or model["id"],
                # A class that was added to another case of the store keeps its number.
                classes=max(model["classes"], self._classes, key=len),
                checked=lambda picture: checked(picture, choice),
                confirmed=choice.isRight,
            ),
            Listener(self._saved, self._failed),
        )
        self._ui.saveButton.enabled = False
        self._say("Saving the correction…")

    def export(self, folder: str) -> None:
        """Write the store for another tool into a folder, in the chosen format.

        Raises:
            Problem: if it cannot be begun.
        """
        name = list(FORMATS)[self._ui.formatSelector.currentIndex]
        self._logic.export(
            self._folder,
            folder,
            name,
            Listener(
                lambda facts: self._say(f"Exported {facts['cases']} case(s) to {facts['folder']}"),
                self._say,
                self._progressed,
            ),
        )

    def _progressed(self, event: Facts) -> None:
        self._ui.keepStatus.text = f"{event['stage']}: {event['done']} of {event['total']}"

    def _failed(self, sentence: str) -> None:
        self._ui.saveButton.enabled = True
        self._say(sentence)

    def _saved(self, facts: Facts) -> None:
        self._ui.saveButton.enabled = True
        use = "held out to test with" if facts["role"] == "holdout" else "to learn from"
        score = "" if facts["dice"] is None else f"; Dice between model and correction {facts['dice']:.3f}"
        amount = f"{facts['voxels_changed']:,} of {facts['voxels_checked']:,} checked voxels changed"
        self._say(f"Saved as {facts['case']}, {use}: {amount}{score}")
        self.changed()


def show_path(label: Any, path: str) -> None:
    """Show the end of a path, which has no place to break, and all of it in the tooltip."""
    label.text = path if len(path) <= SHOWN_OF_A_PATH else "…" + path[-SHOWN_OF_A_PATH:]
    label.toolTip = path


def _counted(cases: int, holdout: int) -> str:
    if not cases:
        return "No corrections yet: correct a segmentation and save it."
    some = f"{cases} corrected image{'' if cases == 1 else 's'}"
    return f"{some}: {cases - holdout} to learn from, {holdout} held out to test a new version."
