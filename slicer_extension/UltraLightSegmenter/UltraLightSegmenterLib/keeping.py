"""The part of the panel that keeps corrections and hands them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slicer.i18n import tr as _

from . import settings
from .logic import Correction, UltraLightSegmenterLogic
from .matching import guesses
from .problem import Problem
from .process import Facts, Listener
from .scopes import checked
from .segmentations import facts_of

DICOM_SEG = "dicom-seg"

FORMATS = {
    "nnunet": "nnU-Net",
    "msd": "Medical Segmentation Decathlon",
    "bids": "BIDS",
    DICOM_SEG: "DICOM SEG",
    "seg-nrrd": "Slicer (.seg.nrrd)",
    "nifti": "NIfTI",
}

SHOWN_OF_A_PATH = 34
"""Letters of a folder's path that a panel has room for."""


class Keeping:
    """Save correction and Export.

    Attributes:
        changed: called after the store has changed.
        opened: called with the segmentation node of a case that was opened again.
        ensure_for_dicom: called before DICOM SEG is written, for what it needs.
        dicom_source: folder of the series that the images came from, for DICOM SEG; "" for none.
    """

    def __init__(self, ui: Any, logic: UltraLightSegmenterLogic, say: Callable[[str], None], confirm: Callable[[str], bool]) -> None:
        self._ui = ui
        self._logic = logic
        self._say = say
        self._confirm = confirm
        self._folder = ""
        self._classes: list[Facts] = []
        self.changed: Callable[[], None] = lambda: None
        self.opened: Callable[[Any], None] = lambda node: None
        self.ensure_for_dicom: Callable[[], None] = lambda: None
        self.dicom_source = ""
        for title in FORMATS.values():
            ui.formatSelector.addItem(title)

    @property
    def store(self) -> str:
        """The folder of the store in use, "" before it is known."""
        return self._folder

    def choose_store(self, model: str, folder: str) -> None:
        """Keep a model's corrections in another folder from now on."""
        settings.keep_store(model.partition("@")[0], folder)

    def folder_for(self, model: str) -> str:
        """The folder that was chosen for a model, "" for its own."""
        return settings.store(model.partition("@")[0])

    def show(self, facts: Facts) -> None:
        """Show what a store holds."""
        self._folder = facts["store"]
        self._classes = facts["classes"]
        show_path(self._ui.storeText, self._folder)
        self._ui.storeStatus.text = facts["newer"] or _counted(facts["cases"], facts["holdout"])
        self._ui.exportButton.enabled = self._ui.openButton.enabled = bool(facts["cases"])
        self._ui.caseSelector.clear()
        for name in facts["names"]:
            self._ui.caseSelector.addItem(name)
        self._ui.saveButton.enabled = not facts["newer"]

    def save(self, choice: Any, model: Facts) -> None:
        """Keep the chosen segmentation.

        Raises:
            Problem: if it cannot be kept.
        """
        node = choice.segmentation
        facts = facts_of(node) if node is not None else {}
        # A class that was added to another case of the store keeps its number.
        classes = max(model["classes"], self._classes, key=len)
        if node is not None:
            self._agree(guesses(node, classes, facts.get("classes", ())))
        self._logic.save_correction(
            Correction(
                segmentation=node,
                store=self._folder,
                model=facts.get("model") or model["id"],
                classes=classes,
                checked=lambda picture: checked(picture, choice),
                confirmed=choice.isRight,
                volume=choice.volume,
            ),
            Listener(self._saved, self._failed),
        )
        self._ui.saveButton.enabled = False
        self._say(_("Saving the correction…"))

    def _agree(self, guessed: Mapping[str, str]) -> None:
        """Let a person say whether segments without names of their own are the classes that their label values stand for."""
        pairs = ", ".join(_("{segment} as {name}").format(segment=segment, name=name) for segment, name in guessed.items())
        question = _("The segments have no names of their own. By their label values they are kept as follows: {pairs}.\n\nIs that right?")
        if guessed and not self._confirm(question.format(pairs=pairs)):
            raise Problem(_("Nothing was saved: call each segment as its class is called, in the Segment Editor, and save again"))

    def open(self) -> None:
        """Bring the chosen case back into the scene.

        Raises:
            Problem: if it cannot be begun.
        """
        name = self._ui.caseSelector.itemText(self._ui.caseSelector.currentIndex)
        self._logic.open_case(self._folder, name, Listener(self._opened, self._say))
        self._say(_("Opening {case}…").format(case=name))

    def _opened(self, facts: Facts) -> None:
        self._say(_("Opened {name}; saving it again keeps another revision of the case").format(name=facts["node"].GetName()))
        self.opened(facts["node"])

    def show_format(self) -> None:
        """Show what the chosen format needs."""
        for widget in (self._ui.dicomLabel, self._ui.dicomText, self._ui.dicomButton):
            widget.visible = self._format() == DICOM_SEG

    def use_dicom_source(self, folder: str) -> None:
        """Take the folder of the DICOM series that the images came from."""
        self.dicom_source = folder
        show_path(self._ui.dicomText, folder or _("none"))

    def _format(self) -> str:
        return list(FORMATS)[self._ui.formatSelector.currentIndex]

    def export(self, folder: str) -> None:
        """Write the store for another tool into a folder, in the chosen format.

        Raises:
            Problem: if it cannot be begun.
        """
        name = self._format()
        source = self.dicom_source if name == DICOM_SEG else ""
        if name == DICOM_SEG and not source:
            raise Problem(_("Expected the DICOM series that the images came from, found none; choose its folder under “DICOM series”"))
        if name == DICOM_SEG:
            self.ensure_for_dicom()
        done = _("Exported {cases} case(s) to {folder}")
        listener = Listener(lambda facts: self._say(done.format(**facts)), self._say, self._progressed)
        self._logic.export(self._folder, folder, name, listener, dicom_source=source)

    def _progressed(self, event: Facts) -> None:
        self._ui.keepStatus.text = _("{stage}: {done} of {total}").format(**event)

    def _failed(self, sentence: str) -> None:
        self._ui.saveButton.enabled = True
        self._say(sentence)

    def _saved(self, facts: Facts) -> None:
        self._ui.saveButton.enabled = True
        use = _("held out to test with") if facts["role"] == "holdout" else _("to learn from")
        said = _("Saved as {case} with the image {image}, {use}: {voxels_changed:,} of {voxels_checked:,} checked voxels changed")
        score = "" if facts["dice"] is None else _("; Dice between model and correction {dice:.3f}").format(dice=facts["dice"])
        self._say(said.format(use=use, **facts) + score)
        self.changed()


def show_path(label: Any, path: str) -> None:
    """Show the end of a path, which has no place to break, and all of it in the tooltip."""
    label.text = path if len(path) <= SHOWN_OF_A_PATH else "…" + path[-SHOWN_OF_A_PATH:]
    label.toolTip = path


def _counted(cases: int, holdout: int) -> str:
    if not cases:
        return _("No corrections yet: correct a segmentation and save it.")
    some = _("1 corrected image") if cases == 1 else _("{cases} corrected images").format(cases=cases)
    return _("{some}: {train} to learn from, {holdout} held out to test a new version.").format(
        some=some, train=cases - holdout, holdout=holdout
    )
