"""Pointing at one object of an image until its mask is right: `PromptSession`. Free of any toolkit."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Engine
from ..errors import InputError
from ..events import Progress, finish
from ..volume import Volume
from .looking import Answer, Looker
from .marks import Marks, Said
from .merging import corrected
from .network import prompt_engine
from .prompts import Prompt
from .slices import Slices
from .through import follow

Mask = NDArray[np.bool_]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Step:
    """What one step found: marks, the slices that the object may be in, and the mask before, in the box of slices that changed."""

    marks: dict[int, Marks]
    looked_at: frozenset[int]
    bounds: range
    part: tuple[slice, ...]
    before: NDArray[np.uint8]


class PromptSession:
    """One object of an image: prompts in, its mask out.

    >>> from ultralightunet import Point, PromptSession, Volume
    >>> import numpy as np
    >>> image = np.zeros((64, 64), np.uint8)
    >>> image[20:40, 24:48] = 200
    >>> touch = PromptSession(Volume(image, has_spacing=False))
    >>> bool(touch.add(Point((30, 36)))[30, 36])
    True
    >>> touch.add(Point((5, 5), positive=False)).shape  # on the image's own grid
    (64, 64)
    >>> bool(touch.undo()[30, 36])
    True

    Args:
        image: 2D or 3D, grey or colour. Only the part around the object is ever read.
        start: a mask to begin with, labels that are there say, (*S) bool.
        axis: of a volume: across which the slices lie that prompts are drawn in; None: the axis with the largest voxels.
        slice_only: of a volume: whether a prompt changes its own slice only. Otherwise what is found there is followed through the slices
            next to it until the object ends, or as far as a slice that was pointed at itself.
        engine: of the prompt network; None makes one.
        threads: CPU threads, None for all.

    Attributes:
        image: as given.
        notes: what a user should know about the last step, one sentence each.

    Raises:
        InputError: for an image that is neither grey nor red, green and blue, or a mask of another shape.
        ModelError: if the network cannot be used.
    """

    def __init__(
        self,
        image: Volume,
        *,
        start: Mask | None = None,
        axis: int | None = None,
        slice_only: bool = False,
        engine: Engine | None = None,
        threads: int | None = None,
    ) -> None:
        if image.channels not in (1, 3):
            raise InputError(f"expected an image of 1 or 3 channels to point at, found {image.channels}; choose one channel")
        if start is not None and start.shape != image.shape:
            raise InputError(f"expected a mask to start from of the image's shape {image.shape}, found {start.shape}; choose labels of it")
        self.image = image
        self.notes: tuple[str, ...] = ()
        self._through = image.spatial_dims == 3 and not slice_only
        self._slices = Slices.of(image, axis)
        self._pixels = self._slices.view(image.array)
        self._looker = Looker(engine or prompt_engine(threads=threads), self._slices.spacing[1:])
        self._mask = np.zeros(image.shape, np.bool_) if start is None else start.astype(np.bool_)
        self._planes = self._slices.view(self._mask)
        self._marks: dict[int, Marks] = {}
        self._looked_at: frozenset[int] = frozenset()
        self._bounds = range(len(self._planes))
        self._steps: list[_Step] = []

    @property
    def mask(self) -> Mask:
        """The object on the image's own grid, (*S) bool: a view that cannot be written to and that the next step changes."""
        shown: Mask = self._mask.view()
        shown.flags.writeable = False
        return shown

    def __len__(self) -> int:
        """Steps that `undo` can take back."""
        return len(self._steps)

    def add(self, *prompts: Prompt) -> Mask:
        """Say something about the object, several prompts as one step; see `adding`. Returns `mask`."""
        return finish(self.adding(*prompts))

    def adding(self, *prompts: Prompt) -> Generator[Progress, None, Mask]:
        """As `add`, with progress; closing the generator leaves everything as it was.

        Prompts are obeyed to the voxel; where two contradict each other the later one counts. Of what the network would change only the
        parts are taken that the new prompts touch, so what is finished never moves.

        Raises:
            InputError: for prompts outside the image, or voxels that are not numbers.
        """
        said = Said.of(prompts, self._slices, self._planes.shape[1:])
        marks = dict(self._marks)
        for number, new in said.marks.items():
            marks[number] = marks[number].then(new) if number in marks else new
        bounds = _both(self._bounds, said.bounds, len(self._planes), first=self._bounds == range(len(self._planes)))
        looked_at = self._looked_at | set(said.looked_at)
        found = {number: marks[number].obeyed(self._planes[number]) for number in said.marks}
        for done, number in enumerate(said.looked_at):
            yield Progress("Looking", done, len(said.looked_at))
            found[number] = self._looked(number, marks[number], said.marks[number])
        if self._through and said.looked_at:

            def guess(number: int, mask: Mask) -> Answer:
                return self._looker.refine(self._pixels[number], marks.get(number), mask, passes=1)

            known = {n: found[n] if n in found else self._planes[n] for n in looked_at}
            around = yield from follow(known, bounds, guess, starts=said.looked_at, spacing=self._looker.spacing)
            found |= {n: marks[n].obeyed(mask) if n in marks else mask for n, mask in around.items()}
        self._take(found, said.marks if self._mask.any() else None)
        self.notes = _notes(self._marks, said)
        self._marks, self._looked_at, self._bounds = marks, looked_at, bounds
        return self.mask

    def propagate(self, *, between_only: bool = False) -> Mask:
        """Follow the object from the slices that have some of it; see `propagating`. Returns `mask`."""
        return finish(self.propagating(between_only=between_only))

    def propagating(self, *, between_only: bool = False) -> Generator[Progress, None, Mask]:
        """As `propagate`, with progress; closing the generator leaves everything as it was.

        Slices that have some of the object stay as they are.

        Args:
            between_only: fill only what lies between them, and look for nothing beyond the first and the last.

        Raises:
            InputError: for a picture, or where no slice has any of the object.
        """
        known = {n: plane for n, plane in enumerate(self._planes) if plane.any()}
        if self.image.spatial_dims == 2 or not known:
            what = "a picture" if self.image.spatial_dims == 2 else "no labelled slice"
            raise InputError(f"expected a volume with the object in at least one slice, found {what}; label a slice first")
        marks = self._marks

        def guess(number: int, mask: Mask) -> Answer:
            return self._looker.refine(self._pixels[number], marks.get(number), mask, passes=1)

        found = yield from follow(known, self._bounds, guess, starts=sorted(known), spacing=self._looker.spacing, between_only=between_only)
        if found:
            self._take({n: marks[n].obeyed(mask) if n in marks else mask for n, mask in found.items()}, None)
        return self.mask

    def undo(self) -> Mask:
        """Take the last step back, if there is one. Returns `mask`."""
        if self._steps:
            step = self._steps.pop()
            part = self._planes[step.part]
            part[...] = np.unpackbits(step.before, count=part.size).reshape(part.shape).astype(np.bool_)
            self._marks, self._looked_at, self._bounds = step.marks, step.looked_at, step.bounds
            self.notes = ()
        return self.mask

    def _looked(self, number: int, marks: Marks, new: Marks) -> Mask:
        """The mask of one slice, after the network has looked at it."""
        plane = self._pixels[number]
        before: Mask = self._planes[number]
        if before.any():
            return marks.obeyed(corrected(before, self._looker.correct(plane, marks, before, new), new.any_place))
        if not marks.inside.any():
            return before
        return marks.obeyed(self._looker.find(plane, marks))

    def _take(self, found: Mapping[int, Mask], said: Mapping[int, Marks] | None) -> None:
        """Take masks of slices into `mask`, as one step; with `said`, only what these new marks touch."""
        first, last = min(found), max(found)
        before = self._planes[first : last + 1]
        after = before.copy()
        for number, mask in found.items():
            after[number - first] = mask
        part = _box_of(before != after)
        old, new = before[part], after[part]
        whole = (slice(first + part[0].start, first + part[0].stop), *part[1:])
        self._steps.append(_Step(self._marks, self._looked_at, self._bounds, whole, np.packbits(old)))
        if said is not None:
            touched = np.zeros_like(old)
            for number in range(whole[0].start, whole[0].stop):
                if number in said:
                    touched[number - whole[0].start] = said[number].any_place[part[1:]]
            new = corrected(old, new, touched)
        before[part] = new


def _both(known: range, new: range | None, count: int, *, first: bool) -> range:
    """The slices that the object may be in: those of all boxes so far."""
    if new is None:
        return known
    return new if first else range(min(known.start, new.start), max(known.stop, new.stop))


def _box_of(changes: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box around what is True, empty where nothing is."""
    part = []
    for axis in range(changes.ndim):
        along = np.flatnonzero(changes.any(tuple(a for a in range(changes.ndim) if a != axis)))
        part.append(slice(int(along[0]), int(along[-1]) + 1) if len(along) else slice(0, 0))
    return tuple(part)


def _notes(before: dict[int, Marks], said: Said) -> tuple[str, ...]:
    if any(number in before and before[number].contradicts(new) for number, new in said.marks.items()):
        return ("Prompts contradict each other in some voxels; the later one counts there.",)
    return ()
