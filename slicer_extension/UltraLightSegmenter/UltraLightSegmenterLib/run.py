"""One segmentation under way: a volume goes to the process, and the labels that come back become a segmentation node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from .amounts import amounts
from .exchange import Exchange, delete
from .pictures import Picture
from .problem import Problem
from .process import Facts, Listener, Worker
from .segmentations import make_segmentation
from .sequences import frame_of
from .studies import modality


class Run:
    """Begins when it is started, and ends once, whatever becomes of it.

    Args:
        worker: the process that segments.
        exchange: where arrays travel.
        volume: the node that is segmented.
        listener: who asked for it.
        ended: called before the listener hears of the end, so that the next run may begin.
        frame: of the sequence that the volume shows a frame of; None for what it shows.
        confirm: shows why the image may be of another kind than the model is for, and returns whether to go on; None goes on.
    """

    def __init__(
        self,
        worker: Worker,
        exchange: Exchange,
        volume: Any,
        listener: Listener,
        ended: Callable[[], None],
        frame: int | None = None,
        confirm: Callable[[Sequence[str]], bool] | None = None,
    ) -> None:
        self.volume = volume
        self._worker = worker
        self._exchange = exchange
        self._listener = listener
        self._ended = ended
        self._frame = frame
        self._confirm = confirm
        self._is_over = False
        self._number = 0
        self._image = self._labels = Path()
        self._affine: Any = None
        self._shown: dict[str, str] = {}
        self._request: Facts = {}

    def start(self, *, model: str, scope: Callable[[Picture], Facts], **options: Any) -> None:
        """Hand the volume over.

        Raises:
            Problem: if it cannot be begun.
        """
        picture, frame = Picture.of(self.volume), frame_of(self.volume)
        if frame is not None and self._frame is not None:
            frame = frame.at(self._frame)
            picture = replace(Picture.of(frame.node), node=self.volume)
        self._affine = picture.affine
        self._shown = {"fingerprint": picture.fingerprint(), "frame": "" if frame is None else str(frame)}
        self._request = {
            "model": model,
            "image": str(self._exchange.path("image")),
            "affine": picture.affine.tolist(),
            "channels": picture.channels,
            "modality": modality(self.volume),
            **scope(picture),
        }
        self._image, self._labels = Path(self._request["image"]), self._exchange.path("labels")
        self._exchange.write(self._image, picture.array)
        self._request |= {"labels": str(self._labels), **options}
        try:
            if self._confirm is None:
                self._begin()
            else:
                asked = ("model", "image", "affine", "channels", "modality", "box")
                request = {key: self._request[key] for key in asked if key in self._request}
                self._number = self._worker.ask(Listener(self._doubted, self._failed), do="doubts", **request)
        except Problem:
            self._delete()
            raise

    def _doubted(self, answer: Facts) -> None:
        """Go on, unless the image seems to be of another kind than the model is for and a person agrees."""
        if self._is_over:
            return
        # While the question stands, the scene may be closed.
        goes_on = not answer["doubts"] or self._confirm is None or self._confirm(answer["doubts"])
        if self._is_over:
            return
        if not goes_on:
            self._failed("")
            return
        try:
            self._begin()
        except Problem as problem:
            self._failed(str(problem))

    def _begin(self) -> None:
        listener = Listener(self._done, self._failed, self._listener.progress)
        self._number = self._worker.ask(listener, do="segment", **self._request)

    def abandon(self, sentence: str) -> None:
        """End it at once for the user, and add nothing; the process follows within one window of the network, and is not listened to."""
        self._worker.cancel(self._number, silently=True)
        self._failed(sentence)

    def forget(self) -> None:
        """Whatever the process still says of it, nobody hears."""
        self._is_over = True

    def _done(self, answer: Facts) -> None:
        if self._is_over:
            return
        self._end()
        try:
            labels = np.load(self._labels)
            picture, note = self._where(labels)
            node = make_segmentation(labels, picture, {**answer, "image": self._shown})
        except OSError as error:
            self._listener.failed(
                _("Expected to read the labels, found an obstacle: {error}; free space on the disk and try again").format(error=error)
            )
        except Problem as problem:
            self._listener.failed(str(problem))
        else:
            found = {"node": node, "is_empty": not labels.any(), "amounts": amounts(labels, picture, answer), "note": note}
            self._listener.done({**answer, **found})
        finally:
            self._delete()

    def _where(self, labels: Any) -> tuple[Picture, str]:
        """Where the labels lie, and what a person has to be told of it.

        A volume that was moved meanwhile takes its labels along; those of an image that it shows no longer stay where that was.
        """
        try:
            now = Picture.of(self.volume)
            if now.fingerprint() == self._shown["fingerprint"]:
                return now, ""
        except Problem:
            # It shows nothing any more.
            now = None
        then = Picture(self.volume, labels, 1, self._affine)
        name, frame = self.volume.GetName(), self._shown["frame"]
        if frame:
            note = _("These labels belong to {frame}, and {name} shows another by now: browse back to see them over their image")
            return then, note.format(frame=frame, name=name)
        if now is None or now.shape != labels.shape:
            raise Problem(
                _("Expected {name} as it was, found it changed while it was being segmented; click Segment again").format(name=name)
            )
        return then, _("{name} was changed meanwhile: these labels belong to the image as it was").format(name=name)

    def _failed(self, sentence: str) -> None:
        if self._is_over:
            return
        self._end()
        self._delete()
        self._listener.failed(sentence)

    def _end(self) -> None:
        self._is_over = True
        self._ended()

    def _delete(self) -> None:
        delete([self._image, self._labels])
