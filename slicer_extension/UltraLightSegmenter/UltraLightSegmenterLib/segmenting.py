"""The part of the panel that segments: Segment, Cancel, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from slicer.i18n import tr as _

from . import settings
from .logic import UltraLightSegmenterLogic
from .pictures import Picture
from .problem import Problem, in_words_of_the_module
from .process import Facts, Listener
from .scopes import arguments
from .sequences import frame_of


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
        self._begin: Callable[[int | None], None] = lambda frame: None
        self._frames: list[int | None] = []
        self._is_series = False
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

        def begin(frame: int | None) -> None:
            self._began = time.perf_counter()
            listener = Listener(self._done, self._failed, self._progressed)
            # Frames of one sequence are of one kind: one question is enough.
            confirm = None if frame else self._goes_on
            self._logic.segment(volume, listener, model=model["id"], scope=scope, frame=frame, confirm=confirm, **options)
            self._say(_("Starting on {volume} with {model}…").format(volume=volume.GetName(), model=model["id"]))

        volume = choice.volume
        self._begin = begin
        self._frames = self._wanted_frames(volume)
        self._is_series = len(self._frames) > 1
        begin(self._frames.pop(0))
        self._set_running(True)

    def _wanted_frames(self, volume: Any) -> list[int | None]:
        """The frames of a sequence that are wanted: the user is asked; None stands for what the volume shows."""
        frame = frame_of(volume)
        if frame is None or frame.count < 2:
            return [None]
        question = _("{volume} shows {frame} of a sequence. Segment only this one?\n\n“No” segments all of them, one after the other.")
        return [None] if self._confirm(question.format(volume=volume.GetName(), frame=frame)) else list(range(frame.count))

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
        node = answer["node"]
        if self._is_series and answer["note"]:
            # Labels of all frames over the one that is shown would hide it.
            node.GetDisplayNode().SetVisibility(False)
            answer = {**answer, "note": ""}
        else:
            self.made(node)
        seconds = time.perf_counter() - self._began
        notes = [_("Done in {seconds:.1f} s: {name}").format(seconds=seconds, name=node.GetName())]
        if answer["is_empty"]:
            notes.append(_("Nothing was found. Is the model made for this kind of image?"))
        notes += filter(None, (answer["amounts"], answer["note"], *map(in_words_of_the_module, answer["doubts"])))
        self._say(". ".join(notes))
        self._go_on()

    def _go_on(self) -> None:
        """Segment the next frame, if there is one."""
        if not self._frames:
            self._set_running(False)
            return
        try:
            self._begin(self._frames.pop(0))
        except Problem as problem:
            self._failed(str(problem))

    def _failed(self, sentence: str) -> None:
        self._frames.clear()
        self._set_running(False)
        self._say(sentence or _("Cancelled; nothing was added"))

    def _set_running(self, is_running: bool) -> None:
        self._ui.segmentButton.enabled = not is_running
        self._ui.cancelButton.enabled = is_running
        self._ui.progressBar.maximum = 0 if is_running else 1
        self._ui.progressBar.value = 0
