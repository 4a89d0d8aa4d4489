"""The part of the dock for saving: a correction into the store, and a store into the layout of another tool."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import LineEdit, PushButton
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from ultralightunet.corrections import Revision, Summary
from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.models import Model

from ..layers.active_labels import ActiveLabels
from ..layers.correction import Correction
from ..layers.facts import classes_of, note_saved, show_classes
from ..layers.grid import KEY
from ..parts.ask import confirm
from ..parts.fold import Fold
from ..parts.job import Job
from ..parts.told import Told
from ..parts.worker import in_words_of_the_dock, show_failure
from .checked import CheckedChoice
from .export import Export
from .saving import Destination, comparing, saving
from .stores import StoreRow, Stores
from .summary import SummaryView

SAVE_KEY = "Control-Shift-K"

_AS_IT_IS = {
    "same": "The labels are as the model predicted them, wherever you checked.\nSave them as right?",
    "empty": "There are no labels at all.\nSave that there is nothing to label?",
}


class Save(Told, Fold):
    """Save correction, what it changes, and Export.

    Signals: `saved(Revision)`.

    Attributes:
        save: the button.
        checked: which slices were checked.
        patient: the same text for all images of one patient, or nothing.
        store: where corrections go.
        summary: what the correction changes.
        export: the row for exporting.
    """

    saved = Signal(object)

    def __init__(
        self,
        viewer: Any,
        active: ActiveLabels,
        stores: Stores,
        *,
        image: Callable[[], Any],
        model: Callable[[], Model | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Save and export", "Keep what you corrected, so that the model can learn from it.", parent)
        self._viewer, self._active, self._stores, self._image, self._model = viewer, active, stores, image, model
        self._layer: Any = None
        self._patients: dict[str, str] = {}
        self._is_stale = True
        self._looking = Job(self)
        self._looking.returned.connect(self._show_summary)
        self._looking.ended.connect(self._look_again)
        self._job = Job(self)
        self._job.returned.connect(self._saved)
        self._job.failed.connect(self.say)
        self._job.ended.connect(self._ended)
        self._question = ""
        self.save = PushButton(text="Save correction", tooltip="Keep image, labels and what was predicted in the store (Ctrl+Shift+K).")
        self.save.native.setObjectName("primary")
        self.checked = CheckedChoice(viewer, active)
        self.patient = LineEdit(
            tooltip="Optional: the same text for all images of one patient, so that none of them tests what another one trained. "
            "Only a salted hash of it is stored."
        )
        self.patient.native.setPlaceholderText("optional")
        self.store = StoreRow(stores)
        self.summary = SummaryView()
        self.export = Export(lambda: self._stores.of(self.model_name))
        self._status = QLabel()
        self._status.setWordWrap(True)
        self._lay_out()
        self.save.changed.connect(self.save_correction)
        self.patient.changed.connect(self._keep_patient)
        self.checked.changed.connect(self.look)
        self.opened.connect(self._opened)
        active.chosen.connect(self._chosen)
        active.changed.connect(self.look)
        self._chosen()

    @property
    def model_name(self) -> str:
        """The model that the labels in use belong to, without its version; "" where there is none."""
        layer = self._active.layer
        made_by = layer.metadata.get(KEY, {}).get("model", "") if layer is not None else ""
        model = self._model()
        return str(made_by).partition("@")[0] or (model.name if model else "")

    def save_correction(self) -> None:
        """Save the labels in use; where one has not seen yet what changes, that is shown first."""
        if self._job.is_running:
            return
        if not self.is_open:
            self.expand()
            self.say("Look at what changed, then save.")
            return
        self._save(confirmed=False)

    def look(self) -> None:
        """Compare the labels in use with what was predicted, if anybody looks."""
        self._is_stale = True
        self._look_again()

    def show_model(self) -> None:
        """Follow the choice of a model."""
        self.store.show_model(self.model_name)

    def close_down(self) -> None:
        """Let go; what is being saved is saved whole or not at all."""
        self._looking.stop()
        self.export.close_down()
        self.checked.close_down()

    def _correction(self) -> Correction:
        layer = self._active.layer
        if layer is None:
            raise InputError("expected labels to save, found no labels layer; segment an image or select labels")
        return Correction.of(layer, self._viewer.layers, preferred=self._image(), model=self._model())

    def _save(self, *, confirmed: bool) -> None:
        try:
            correction, checked = self._correction(), self.checked.checked()
            model = self._model()
            to = Destination(
                self._stores.of(self.model_name),
                self.patient.value.strip() or None,
                model.modality if model is not None and model.name == self.model_name else "",
                correction.model or (model.id if model is not None else ""),
                confirmed,
            )
        except UltraLightError as error:
            self.say(show_failure(error))
            return
        self._layer = self._active.layer
        self._job.start(lambda: saving(correction, checked, to))
        self.say("Saving…")
        self._show_buttons()

    def _saved(self, result: str | tuple[Revision, Correction, str]) -> None:
        if isinstance(result, str):
            self._question = result
            return
        revision, correction, saved = result
        layer = self._layer
        if not classes_of(layer.metadata.get(KEY, {})):
            show_classes(layer, correction.classes)
        note_saved(layer, saved)
        role = "it will be learned from" if revision.role == "train" else "it is held out, to test what was learned from the others"
        again = f", revision {revision.number}" if revision.number > 1 else ""
        self.say(f"Saved as case {revision.case[:8]}{again}; {role}.")
        self.saved.emit(revision)

    def _ended(self, was_cancelled: bool) -> None:
        self._show_buttons()
        question, self._question = self._question, ""
        if not question:
            return
        self.say("Not saved.")
        if confirm(self, _AS_IT_IS[question], "Save"):
            self._save(confirmed=True)

    def _chosen(self) -> None:
        # The next image may be another patient's.
        with self.patient.changed.blocked():
            self.patient.value = self._patients.get(self._image_id(), "")
        self.show_model()
        self._show_buttons()
        self.say("")
        self.look()

    def _keep_patient(self, text: str) -> None:
        if self._active.layer is not None:
            self._patients[self._image_id()] = text

    def _image_id(self) -> str:
        """What tells the image of the labels in use from all others; its name does not."""
        layer = self._active.layer
        return "" if layer is None else layer.metadata.get(KEY, {}).get("image_id", str(layer.unique_id))

    def _opened(self) -> None:
        self.look()

    def _look_again(self, *_: Any) -> None:
        if not (self._is_stale and self.is_open) or self._looking.is_running:
            return
        self._is_stale = False
        if self._active.layer is None:
            self.summary.say("Segment an image, or select labels, to see what would be saved.")
            return
        try:
            correction, checked = self._correction(), self.checked.checked()
        except UltraLightError as error:
            self.summary.say(in_words_of_the_dock(str(error)))
            return
        self._looking.start(lambda: comparing(correction, checked))

    def _show_summary(self, found: Summary | str) -> None:
        if isinstance(found, str):
            self.summary.say(in_words_of_the_dock(found))
        else:
            self.summary.show_summary(found)

    def _show_buttons(self, *_: Any) -> None:
        self.save.enabled = self._active.layer is not None and not self._job.is_running

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Checked", self.checked)
        form.addRow("Patient", self.patient.native)
        form.addRow("Store", self.store)
        for part in (self.summary,):
            self.body.addWidget(part)
        self.body.addLayout(form)
        self.body.addWidget(self.save.native)
        self.body.addWidget(self._status)
        self.body.addWidget(self.export)
        self.say("")
