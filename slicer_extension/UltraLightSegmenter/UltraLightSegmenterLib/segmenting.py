"""The part of the panel that segments: Segment, Cancel, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .logic import UltraLightSegmenterLogic
from .pictures import Picture
from .process import Facts, Listener
from .scopes import arguments


class Segmenting:
    """One segmentation at a time, from the click to what was found.

    Attributes:
        made: called with each new segmentation node.
    """

    def __init__(self, ui: Any, logic: UltraLightSegmenterLogic, say: Callable[[str], None]) -> None:
        self._ui = ui
        self._logic = logic
        self._say = say
        self._began = 0.0
        self.made: Callable[[Any], None] = lambda node: None

    def start(self, choice: Any, model: Facts) -> None:
        """Segment what is chosen.

        Raises:
            Problem: if it cannot be begun.
        """
        options = {"device": choice.device, "step": round(choice.step, 3), "nan_fill": choice.fillValue if choice.fillMissing else None}

        def scope(picture: Picture) -> Facts:
            return arguments(picture, choice, spatial_dims=model["spatial_dims"])

        self._began = time.perf_counter()
        listener = Listener(self._done, self._failed, self._progressed)
        self._logic.segment(choice.volume, listener, model=model["id"], scope=scope, **options)
        self._say(f"Starting on {choice.volume.GetName()} with {model['id']}…")
        self._set_running(True)

    def cancel(self) -> None:
        """Stop; it ends within one window."""
        self._logic.cancel()
        self._ui.cancelButton.enabled = False
        self._say("Cancelling…")

    def _progressed(self, event: Facts) -> None:
        if not self._ui.cancelButton.enabled:
            return
        is_counted = event["total"] > 1
        # Qt shows a bar from 0 to 0 as busy.
        self._ui.progressBar.maximum = event["total"] if is_counted else 0
        self._ui.progressBar.value = event["done"] if is_counted else 0
        self._ui.statusLabel.text = f"{event['stage']}: {event['done']} of {event['total']}" if is_counted else f"{event['stage']}…"

    def _done(self, answer: Facts) -> None:
        self._set_running(False)
        seconds = time.perf_counter() - self._began
        notes = [f"Done in {seconds:.1f} s: {answer['node'].GetName()}", *_amounts(answer)]
        if answer["is_empty"]:
            notes.append("Nothing was found. Is the model made for this kind of image?")
        self._say(". ".join(notes))
        self.made(answer["node"])

    def _failed(self, sentence: str) -> None:
        self._set_running(False)
        self._say(sentence or "Cancelled; nothing was added")

    def _set_running(self, is_running: bool) -> None:
        self._ui.segmentButton.enabled = not is_running
        self._ui.cancelButton.enabled = is_running
        self._ui.progressBar.maximum = 0 if is_running else 1
        self._ui.progressBar.value = 0


def _amounts(answer: Facts) -> list[str]:
    """How much was found of each class; nothing where voxels have no known size."""
    volumes = answer["volumes_ml"] or {}
    found = [(entry["name"], volumes.get(str(entry["index"]), 0.0)) for entry in answer["classes"] if entry["index"]]
    text = ", ".join(f"{name} {amount:,.1f} ml" for name, amount in found if amount)
    return [text] if text else []
