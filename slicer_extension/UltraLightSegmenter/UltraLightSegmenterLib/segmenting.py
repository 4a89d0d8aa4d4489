"""The part of the panel that segments: Segment, Cancel, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from slicer.i18n import tr as _

from . import settings
from .logic import UltraLightSegmenterLogic
from .pictures import Picture
from .problem import in_words_of_the_module
from .process import Facts, Listener
from .scopes import arguments


class Segmenting:
    """One segmentation at a time, from the click to what was found.

    Attributes:
        made: called with each new segmentation node.
    """

    def __init__(self, ui: Any, logic: UltraLightSegmenterLogic, say: Callable[[str], None], confirm: Callable[[str], bool]) -> None:
        self._ui = ui
        self._logic = logic
        self._say = say
        self._confirm = confirm
        self._began = 0.0
        self.made: Callable[[Any], None] = lambda node: None

    def start(self, choice: Any, model: Facts) -> None:
        """Segment what is chosen.

        Raises:
            Problem: if it cannot be begun.
        """
        options = {
            "device": choice.device,
            "step": round(choice.step, 3),
            "nan_fill": choice.fillValue if choice.fillMissing else None,
            "threads": settings.threads() or None,
        }

        def scope(picture: Picture) -> Facts:
            return arguments(picture, choice, spatial_dims=model["spatial_dims"])

        self._began = time.perf_counter()
        listener = Listener(self._done, self._failed, self._progressed)
        self._logic.segment(choice.volume, listener, model=model["id"], scope=scope, confirm=self._goes_on, **options)
        self._say(_("Starting on {volume} with {model}…").format(volume=choice.volume.GetName(), model=model["id"]))
        self._set_running(True)

    def cancel(self) -> None:
        """Stop."""
        self._logic.cancel()

    def _goes_on(self, doubts: Sequence[str]) -> bool:
        """Ask whether an image that seems to be of another kind shall be segmented all the same."""
        sentences = "\n\n".join(map(in_words_of_the_module, doubts))
        return self._confirm(_("{doubts}\n\nSegment it all the same?").format(doubts=sentences))

    def _progressed(self, event: Facts) -> None:
        if not self._ui.cancelButton.enabled:
            return
        is_counted = event["total"] > 1
        # Qt shows a bar from 0 to 0 as busy.
        self._ui.progressBar.maximum = event["total"] if is_counted else 0
        self._ui.progressBar.value = event["done"] if is_counted else 0
        said = _("{stage}: {done} of {total}") if is_counted else _("{stage}…")
        self._ui.statusLabel.text = said.format(stage=event["stage"], done=event["done"], total=event["total"])

    def _done(self, answer: Facts) -> None:
        self._set_running(False)
        seconds = time.perf_counter() - self._began
        notes = [_("Done in {seconds:.1f} s: {name}").format(seconds=seconds, name=answer["node"].GetName())]
        if answer["is_empty"]:
            notes.append(_("Nothing was found. Is the model made for this kind of image?"))
        notes += filter(None, (answer["amounts"], answer["note"], *map(in_words_of_the_module, answer["doubts"])))
        self._say(". ".join(notes))
        self.made(answer["node"])

    def _failed(self, sentence: str) -> None:
        self._set_running(False)
        self._say(sentence or _("Cancelled; nothing was added"))

    def _set_running(self, is_running: bool) -> None:
        self._ui.segmentButton.enabled = not is_running
        self._ui.cancelButton.enabled = is_running
        self._ui.progressBar.maximum = 0 if is_running else 1
        self._ui.progressBar.value = 0
