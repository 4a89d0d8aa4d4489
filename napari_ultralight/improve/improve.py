"""The part of the dock in which a model learns from what was corrected."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from magicgui.widgets import FloatSpinBox, ProgressBar, PushButton
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ultralightunet.child import run_child
from ultralightunet.corrections import Store
from ultralightunet.errors import InputError, UltraLightError
from ultralightunet.events import Epoch, Progress
from ultralightunet.models import Model

from ..keep.stores import Stores
from ..parts.ask import ask
from ..parts.fold import Fold
from ..parts.job import Job
from ..parts.told import Told
from ..parts.worker import show_failure
from .curve import Curve
from .other_images import OtherImages
from .version_list import VersionList

USE, KEEP = "Use it", "Keep the version before"

NO_TORCH = "Retraining needs PyTorch, which is not installed here: pip install “napari-ultralight[train]”, then start napari again."


class Improve(Told, Fold):
    """Retrain, how it goes, and the versions that there are.

    Signals: `learned()` when there is a new version or another one is in use.

    Attributes:
        retrain: the button that starts.
        cancel: the button that stops; nothing changes then.
        minutes: how long is trained.
        others: images without labels, against forgetting.
        curve: loss and validation Dice.
        versions: the versions of the model.
    """

    learned = Signal()

    def __init__(
        self,
        stores: Stores,
        model: Callable[[], Model | None],
        threads: Callable[[], int | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Improve the model", "Let the model learn from what you corrected, on this computer.", parent)
        self._stores = stores
        self._model = model
        self._threads = threads
        self._began = 0.0
        self._training_since: float | None = None
        self._job = Job(self)
        self._job.progressed.connect(self._show_event)
        self._job.returned.connect(self._learned)
        self._job.failed.connect(self.say)
        self._job.ended.connect(self._ended)
        self._counting = Job(self)
        self._counting.returned.connect(self._show_count)
        self.retrain = PushButton(
            text="Retrain", tooltip="Learn from the saved corrections; a new version is used only if it is not worse."
        )
        self.cancel = PushButton(text="Cancel", enabled=False, tooltip="Stop the training; everything stays as it was.")
        self.minutes = FloatSpinBox(value=2.5, min=0.1, max=600.0, step=0.5, tooltip="How long is trained; the comparison comes on top.")
        self.minutes.native.setDecimals(1)
        self.minutes.native.setSuffix(" min")
        self.retrain.native.setObjectName("primary")
        self.others = OtherImages()
        self.progress = ProgressBar(value=0, min=0, max=1, tooltip="How far the retraining has come.")
        self.progress.native.setTextVisible(False)
        self.progress.native.setFixedHeight(10)
        self.curve = Curve()
        self.versions = VersionList()
        self._count = QLabel()
        self._count.setWordWrap(True)
        self._status = QLabel()
        self._status.setWordWrap(True)
        self._lay_out()
        self.retrain.changed.connect(self.start)
        self.cancel.changed.connect(self.stop)
        self.opened.connect(self.show_model)
        self.versions.used.connect(self.learned)
        stores.changed.connect(self.show_model)
        self._show_idle()

    def start(self) -> None:
        """Retrain the chosen model on its corrections, in a process of its own."""
        if self._job.is_running:
            return
        try:
            if find_spec("torch") is None:
                raise InputError(NO_TORCH)
            model = self._model()
            if model is None:
                raise InputError("expected a model to retrain, found none; choose one under “Model”")
            folder = self._stores.of(model.name)
            if not Store(folder).exists:
                raise InputError(f"expected corrections for {model.name}, found none saved yet; correct labels and save them first")
        except UltraLightError as error:
            self.say(show_failure(error))
            return
        self._began, self._training_since = time.monotonic(), None
        self.curve.clear()
        self.curve.show()
        self.retrain.enabled = self.minutes.enabled = False
        self.cancel.enabled = True
        self.progress.native.show()
        arguments = ["retrain", str(folder), "--model", model.id, "--minutes", f"{self.minutes.value:g}"]
        if (threads := self._threads()) is not None:
            arguments += ["--threads", str(threads)]
        if self.others.folder is not None:
            arguments += ["--images", str(self.others.folder)]
        self._job.start(lambda: run_child(arguments))
        self.say("Starting…")

    def stop(self) -> None:
        """Cancel the training; its process ends, and nothing has changed."""
        if self._job.is_running:
            self._job.stop()
            self.cancel.enabled = False
            self.say("Cancelling…")

    def show_model(self, *_: Any) -> None:
        """Show the corrections and versions of the chosen model, if anybody looks."""
        model = self._model()
        if not self.is_open or model is None:
            return
        self.versions.show_model(model.name)
        folder = self._stores.of(model.name)
        self._counting.start(lambda: _counting(folder, model.name))

    def close_down(self) -> None:
        """Cancel: the training's process ends with the dock."""
        self._job.stop()
        self._counting.stop()

    def _show_event(self, event: Progress | Epoch | dict[str, Any]) -> None:
        if isinstance(event, Epoch):
            self.curve.add(event)
            self.progress.max, self.progress.value = max(1, event.steps), min(event.step, event.steps)
            self._show_time_left()
        elif isinstance(event, Progress):
            if self._training_since is not None and event.stage == "Preparing":
                # The last event comes again while nothing new does.
                self._show_time_left()
                return
            if event.stage == "Preparing" and event.total > 1 and event.done == event.total:
                self._training_since = time.monotonic()
            is_counted = event.total > 1
            self.progress.max = event.total if is_counted else 0
            self.progress.value = event.done if is_counted else 0
            self.say(f"{event.stage}: {event.done} of {event.total}" if is_counted else f"{event.stage}…")

    def _show_time_left(self) -> None:
        since = self._training_since or self._began
        left = self.minutes.value * 60 - (time.monotonic() - since)
        self.say(f"Training, about {_in_words(left)} left; then both versions are compared." if left > 0 else "Training, nearly done…")

    def _learned(self, result: dict[str, Any]) -> None:
        sentence = str(result["sentence"])
        self.say(sentence)
        if result["decision"] == "ask":
            uses = ask(self, f"{result['model']}\n\n{sentence}", [USE, KEEP]) == USE
            if uses:
                name, _, version = str(result["model"]).partition("@")
                self.versions.use(name, version)
            decided = f"{result['model']} is in use, as you decided." if uses else "You kept the version before."
            self.say(f"{decided} {sentence.removesuffix(' Use the new version?')}")
        self.learned.emit()
        self.show_model()

    def _ended(self, was_cancelled: bool) -> None:
        if was_cancelled:
            self.say("Cancelled; the model is as it was.")
        self._show_idle()

    def _show_idle(self) -> None:
        self.retrain.enabled = self.minutes.enabled = True
        self.cancel.enabled = False
        self.progress.native.hide()
        self.curve.setVisible(bool(self.curve.losses))

    def _show_count(self, text: str) -> None:
        self._count.setText(text)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.retrain.native, 3)
        buttons.addWidget(self.minutes.native, 2)
        buttons.addWidget(self.cancel.native, 2)
        layout = QVBoxLayout()
        layout.setSpacing(6)
        layout.addWidget(self._count)
        layout.addWidget(self.others)
        layout.addLayout(buttons)
        layout.addWidget(self.progress.native)
        layout.addWidget(self.curve)
        layout.addWidget(self._status)
        layout.addWidget(self.versions)
        self.body.addLayout(layout)
        self.say("" if find_spec("torch") else NO_TORCH)


def _counting(folder: Path, model: str) -> Generator[Progress, None, str]:
    """What there is to learn from, for a person."""
    yield Progress("Counting", 0, 1)
    count = Store(folder).count()
    held_out = count["holdout"]
    if not count.total():
        return f"No corrections for {model} yet: correct labels, and save them."
    some = f"{count.total()} corrected image{'' if count.total() == 1 else 's'} for {model}"
    return f"{some}: {count['train']} to learn from, {held_out or 'none yet'} held out to test the new version."


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
