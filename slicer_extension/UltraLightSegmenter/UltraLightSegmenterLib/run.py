"""One segmentation under way: a volume goes to the process, and the labels that come back become a segmentation node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .exchange import Exchange, delete
from .pictures import Picture
from .problem import Problem
from .process import Facts, Listener, Worker
from .segmentations import make_segmentation


class Run:
    """Begins when it is started, and ends once, whatever becomes of it.

    Args:
        worker: the process that segments.
        exchange: where arrays travel.
        volume: the node that is segmented.
        listener: who asked for it.
        ended: called before the listener hears of the end, so that the next run may begin.
    """

    def __init__(self, worker: Worker, exchange: Exchange, volume: Any, listener: Listener, ended: Callable[[], None]) -> None:
        self.volume = volume
        self._worker = worker
        self._exchange = exchange
        self._listener = listener
        self._ended = ended
        self._is_over = False
        self._number = 0
        self._image = self._labels = Path()

    def start(self, *, model: str, scope: Callable[[Picture], Facts], **options: Any) -> None:
        """Hand the volume over.

        Raises:
            Problem: if it cannot be begun.
        """
        picture = Picture.of(self.volume)
        arguments = {**scope(picture), **options}
        self._image, self._labels = self._exchange.path("image"), self._exchange.path("labels")
        self._exchange.write(self._image, picture.array)
        try:
            self._number = self._worker.ask(
                Listener(self._done, self._failed, self._listener.progress),
                do="segment",
                model=model,
                image=str(self._image),
                affine=picture.affine.tolist(),
                channels=picture.channels,
                labels=str(self._labels),
                **arguments,
            )
        except Problem:
            self._delete()
            raise

    def cancel(self) -> None:
        """Stop it; it ends within one window of the network, and nothing is added."""
        self._worker.cancel(self._number)

    def abandon(self, sentence: str) -> None:
        """End it at once for the user; the process follows within one window, and is not listened to."""
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
            picture = Picture.of(self.volume)
            if picture.shape != labels.shape:
                raise Problem(
                    f"Expected {self.volume.GetName()} as it was, found it changed while it was being segmented; click Segment again"
                )
            node = make_segmentation(labels, picture, answer)
        except OSError as error:
            self._listener.failed(f"Expected to read the labels, found an obstacle: {error}; free space on the disk and try again")
        except Problem as problem:
            self._listener.failed(str(problem))
        else:
            self._listener.done({**answer, "node": node, "is_empty": not labels.any()})
        finally:
            self._delete()

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
