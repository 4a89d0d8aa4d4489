"""The part of the panel that retrains, and chooses among versions of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from .keeping import show_path
from .logic import UltraLightSegmenterLogic
from .process import Facts, Listener


class Learning:
    """Retrain, Stop, and the versions.

    Attributes:
        images: the folder of other images that was chosen, "" for none.
        changed: called with NAME@VERSION when another version came into use.
    """

    def __init__(self, ui: Any, logic: UltraLightSegmenterLogic, say: Callable[[str], None], confirm: Callable[[str], bool]) -> None:
        self._ui = ui
        self._logic = logic
        self._say = say
        self._confirm = confirm
        self._versions: list[Facts] = []
        self.images = ""
        self.use_images("")
        self.changed: Callable[[str], None] = lambda model: None

    def show(self, facts: Facts) -> None:
        """Show the versions of a model."""
        self._versions = facts["versions"]
        selector = self._ui.versionSelector
        selector.clear()
        for version in self._versions:
            made = _(", from {cases} case(s)").format(cases=version["cases"]) if version["cases"] else ""
            selector.addItem(f"{version['id']}{made}{_(' (in use)') if version['is_current'] else ''}")
        current = [number for number, version in enumerate(self._versions) if version["is_current"]]
        selector.currentIndex = current[0] if current else -1

    def use_images(self, folder: str) -> None:
        """Take a folder of images without labels against forgetting, or none."""
        self.images = folder
        show_path(self._ui.imagesText, folder or _("none"))
        self._ui.noImagesButton.enabled = bool(folder)

    def retrain(self, store: str, model: str, *, minutes: float) -> None:
        """Begin.

        Raises:
            Problem: if it cannot be begun.
        """
        self._logic.retrain(store, model, Listener(self._done, self._failed, self._progressed), minutes=minutes, images=self.images)
        self._set_busy(True)
        self._say(_("Retraining: starting…"))

    def stop(self) -> None:
        """End the retraining."""
        self._logic.stop_retraining()
        self._ui.stopButton.enabled = False
        self._say(_("Stopping…"))

    def use(self) -> None:
        """Make the chosen version the one in use."""
        index = self._ui.versionSelector.currentIndex
        if 0 <= index < len(self._versions):
            self._use(self._versions[index]["id"])

    def _use(self, model: str) -> None:
        self._logic.use_version(model, Listener(self._used, self._say))

    def _used(self, facts: Facts) -> None:
        self._say(_("{model} is in use now").format(model=facts["model"]))
        self.changed(facts["model"])

    def _progressed(self, event: Facts) -> None:
        if event["event"] == "epoch":
            scores = "".join(f", {name} {value:.3f}" for name, value in event["scores"].items())
            self._show(event["step"], event["steps"])
            self._ui.learnStatus.text = _("Retraining: step {step} of {steps}, loss {loss:.3f}{scores}").format(
                **{**event, "scores": scores}
            )
        elif event["event"] == "progress":
            self._show(event["done"], event["total"])
            said = _("Retraining: {stage}: {done} of {total}") if event["total"] > 1 else _("Retraining: {stage}…")
            self._ui.learnStatus.text = said.format(stage=event["stage"], done=event["done"], total=event["total"])

    def _done(self, facts: Facts) -> None:
        self._set_busy(False)
        model, parent = facts["model"], facts["parent"]
        # The question is put below, with the version's name.
        sentence = facts["sentence"].removesuffix(" Use the new version?")
        self._say(sentence)
        if facts["decision"] != "ask":
            self.changed(model if facts["decision"] == "promoted" else parent)
        elif self._confirm(_("{sentence}\n\nUse {model} from now on?").format(sentence=sentence, model=model)):
            self._use(model)
        else:
            said = _("{sentence} {parent} stays in use; {model} is among the versions")
            self._say(said.format(sentence=sentence, parent=parent, model=model))
            self.changed(parent)

    def _failed(self, sentence: str) -> None:
        self._set_busy(False)
        self._say(sentence or _("Stopped; nothing was changed"))

    def _show(self, done: int, total: int) -> None:
        # Qt shows a bar from 0 to 0 as busy.
        self._ui.learnBar.maximum = total if total > 1 else 0
        self._ui.learnBar.value = done if total > 1 else 0

    def _set_busy(self, is_busy: bool) -> None:
        self._ui.retrainButton.enabled = not is_busy
        self._ui.stopButton.enabled = is_busy
        self._ui.learnBar.maximum = 0 if is_busy else 1
        self._ui.learnBar.value = 0
