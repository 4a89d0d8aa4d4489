"""One object of one volume: prompts go to the process beside Slicer, which keeps the image, and the object's mask comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from .exchange import Exchange, delete
from .masks import Mask
from .pictures import Picture
from .problem import Problem
from .process import Facts, Listener, Worker
from .prompts import Mark, prompt_of
from .sight import Sight


@dataclass(frozen=True)
class Said:
    """A prompt, and how it is meant.

    Attributes:
        mark: what was placed.
        axis: of the volume's array, across which the view shows slices; None for the core's own choice.
        slice_only: whether it counts in its own slice only.
        is_flat: whether a box counts in the slice that it was drawn in, and not as deep as it is.
        start: makes the mask that a new object begins with from its first prompt, None for none.
        threads: CPU threads, None for all.
    """

    mark: Mark
    axis: int | None = None
    slice_only: bool = False
    is_flat: bool = False
    start: Callable[[Facts, Picture], Mask | None] = lambda prompt, picture: None
    threads: int | None = None


class Pointing:
    """Answers prompts one at a time.

    A prompt that comes while the last one is being answered waits; of several that wait only the newest is kept.

    Attributes:
        mask: of the object.
        marks: of the prompts that were answered, in their order; `undo` takes the last one back.
        replaced: the labels that the object began with and takes the place of, or None.
        changed: called when there is another mask to show, or none.
        dropped: called when the object is given up, with all that was placed for it.
        refused: called with the mark of a prompt that was not answered, or was taken back.
        said: called with a line for the user.
        progressed: called with each event on the way to an answer.
    """

    def __init__(self, worker: Worker, exchange: Exchange) -> None:
        self._worker, self._exchange = worker, exchange
        self.changed: Callable[[], None] = lambda: None
        self.dropped: Callable[[], None] = lambda: None
        self.refused: Callable[[Mark], None] = lambda mark: None
        self.said: Callable[[str], None] = lambda sentence: None
        self.progressed: Callable[[Facts], None] = lambda event: None
        self.mask = Mask.empty()
        self.marks: list[Mark] = []
        self.replaced: Mask | None = None
        self._sight: Sight | None = None
        self._seen_by = self._begun_in = 0
        self._how: tuple[int | None, bool] | None = None
        self._waiting: Said | None = None
        self._number = 0
        self._files: list[Path] = []

    @property
    def is_busy(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._number)

    @property
    def has_object(self) -> bool:
        """Whether there is a mask to take over."""
        return self._how is not None

    @property
    def volume(self) -> Any:
        """The volume node that is pointed at, or None."""
        return None if self._sight is None else self._sight.node

    @property
    def axis(self) -> int | None:
        """Across which the slices lie that the object was pointed at in; see `Said`."""
        return None if self._how is None else self._how[0]

    @property
    def sight(self) -> Sight:
        """What is pointed at.

        Raises:
            Problem: if there is nothing.
        """
        if self._sight is None:
            raise Problem(_("Expected an object, found none; point at one first"))
        return self._sight

    def look_at(self, volume: Any, *, threads: int | None = None) -> None:
        """Hand a volume over, if the process has it not yet, so that the first prompt need not wait for it.

        Raises:
            Problem: if that cannot be begun.
        """
        if self.is_busy or (volume is self.volume and self._is_known() and self._is_still_there()):
            return
        if volume is not self.volume or not self._is_still_there():
            if self.has_object:
                self.drop()
            self._sight = Sight.of(Picture.of(volume))
        assert self._sight is not None
        picture = self._sight.picture

        def looked(facts: Facts) -> None:
            self._seen_by = self._worker.starts

        def failed(sentence: str) -> None:
            self._refuse_waiting()
            self.said(sentence or _("Cancelled; the object is as it was"))

        file = self._file("image")
        self._exchange.write(file, picture.array)
        self._ask(
            looked,
            failed,
            do="look_at",
            image=str(file),
            affine=picture.affine.tolist(),
            channels=picture.channels,
            # Slicer has no other pictures than volumes of one slice.
            is_flat=picture.shape[0] == 1,
            threads=threads,
        )

    def say(self, volume: Any, said: Said) -> None:
        """Answer a prompt about the object, or about a new one.

        Raises:
            Problem: if that cannot be begun; the prompt was not said then.
        """
        if self.is_busy:
            self._refuse_waiting()
            self._waiting = said
            return
        if self.has_object and volume is self.volume and self._sight is not None:
            self._sight.check()
        self.look_at(volume, threads=said.threads)
        if self.is_busy:
            self._waiting = said
            return
        assert self._sight is not None
        self._ask_about(said, self._sight.picture)

    def undo(self) -> None:
        """Take the last prompt back.

        Raises:
            Problem: if the process does not know it any more.
        """
        if self.is_busy or not self.marks:
            return
        if self._begun_in != self._worker.starts or not self._worker.is_running:
            self.marks.clear()
            raise Problem(_("Expected the process that answered, found that it has ended; correct the object, or click Clear"))

        def taken_back(facts: Facts) -> None:
            self.refused(self.marks.pop())
            self._show(facts)
            self.said(_("One prompt taken back"))

        self._ask(taken_back, self.said, do="take_back")

    def cancel(self) -> None:
        """Give up the prompt that is being answered, and the one that waits; the object is as it was."""
        self._refuse_waiting()
        self._worker.cancel(self._number)

    def drop(self, sentence: str = "") -> None:
        """Give the object up; what is under way is not listened to any more."""
        self._worker.cancel(self._number, silently=True)
        self._number = 0
        self._delete()
        self._waiting = None
        self.mask, self.replaced, self._how, self._begun_in = Mask.empty(), None, None, 0
        self.marks.clear()
        self.dropped()
        self.changed()
        if sentence:
            self.said(sentence)

    def forget(self, sentence: str = "") -> None:
        """Give up the object and the volume, which is about to go."""
        self.drop(sentence)
        was_known, self._sight = self._is_known(), None
        if was_known:
            self._worker.tell(do="put_away")

    # ---- to the process and back

    def _is_known(self) -> bool:
        """Whether the process that runs has the image."""
        return self._sight is not None and self._worker.is_running and self._seen_by == self._worker.starts

    def _is_still_there(self) -> bool:
        return self._sight is not None and self._sight.is_still_there()

    def _refuse_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.refused(waiting.mark)

    def _ask_about(self, said: Said, picture: Picture) -> None:
        how, replaced = (said.axis, said.slice_only), self.replaced
        prompt = prompt_of(said.mark, picture, said.axis if said.is_flat else None)
        request: Facts = {"prompt": prompt}
        is_new = how != self._how or self._begun_in != self._worker.starts
        if is_new:
            # The first prompt; or the view was turned, or the process is another one: what was found stays then, but as a whole.
            replaced = replaced if self.has_object else said.start(prompt, picture)
            start = self.mask if self.has_object else replaced
            request["new"] = {"axis": said.axis, "slice_only": said.slice_only, "start": self._handed_over(start)}

        def answered(facts: Facts) -> None:
            if is_new:
                self.marks.clear()
            self.replaced, self._how, self._begun_in = replaced, how, self._worker.starts
            self.marks.append(said.mark)
            self._show(facts)
            self.said(" ".join(facts["notes"]) or _("“Take over” puts it into the segment; where it is wrong, point again"))

        def failed(sentence: str) -> None:
            self.refused(said.mark)
            self.said(sentence or _("Cancelled; the object is as it was"))

        self._ask(answered, failed, do="point", **request)

    def _ask(self, done: Callable[[Facts], None], failed: Callable[[str], None], **request: Any) -> None:
        """Ask the process; of an object, `done` finds its mask in the first of `_files`."""
        if request["do"] != "look_at":
            self._files.insert(0, self._exchange.path("mask"))
            request["mask"] = str(self._files[0])

        def ended(tell: Callable[[], None]) -> None:
            self._number = 0
            try:
                if self._sight is not None:
                    self._sight.check()
                tell()
            except Problem as problem:
                self.drop(str(problem))
            self._delete()
            self.changed()
            self._go_on()

        listener = Listener(lambda facts: ended(lambda: done(facts)), lambda sentence: ended(lambda: failed(sentence)), self.progressed)
        try:
            self._number = self._worker.ask(listener, **request)
        except Problem:
            self._delete()
            raise
        self.changed()

    def _go_on(self) -> None:
        """Answer the prompt that waits, if there is one."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        try:
            self.say(self.volume, waiting)
        except Problem as problem:
            self.refused(waiting.mark)
            self.said(str(problem))

    def _show(self, facts: Facts) -> None:
        try:
            self.mask = Mask(facts["ranges"], np.load(self._files[0]))
        except OSError as error:
            raise Problem(
                _("Expected to read the mask, found an obstacle: {error}; free space on the disk and try again").format(error=error)
            ) from error

    def _handed_over(self, mask: Mask | None) -> Facts | None:
        """A mask as the process takes it to begin with."""
        if mask is None or not mask.voxels:
            return None
        file = self._file("start")
        self._exchange.write(file, mask.array)
        return {"ranges": mask.ranges, "mask": str(file)}

    def _file(self, name: str) -> Path:
        """A file for this request."""
        self._files.append(self._exchange.path(name))
        return self._files[-1]

    def _delete(self) -> None:
        delete(self._files)
        self._files.clear()
