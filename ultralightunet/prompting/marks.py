"""What was said about an object, slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .prompts import Box, Lasso, Prompt
from .slices import Slices

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Marks:
    """What was said in one slice, each (J, I) bool.

    Attributes:
        positive: belongs to the object.
        negative: does not.
        area: the object lies inside; all False where nothing was said.
    """

    positive: Mask
    negative: Mask
    area: Mask

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Marks:
        """Nothing said in a slice of `shape` (J, I)."""
        return cls(np.zeros(shape, np.bool_), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_))

    @property
    def inside(self) -> Mask:
        """Where the object is, as far as that was said."""
        return self.positive | self.area

    @property
    def any_place(self) -> Mask:
        """Wherever something was said."""
        return self.positive | self.negative | self.area

    def then(self, later: Marks) -> Marks:
        """Both; where two words contradict each other the later one counts."""
        return Marks(
            (self.positive & ~later.negative) | later.positive,
            (self.negative & ~later.inside) | later.negative,
            (self.area & ~later.negative) | later.area,
        )

    def contradicts(self, later: Marks) -> bool:
        """Whether a later word takes back one of these."""
        return bool((self.positive & later.negative).any() or (self.negative & later.positive).any())

    def obeyed(self, mask: Mask) -> Mask:
        """`mask` (J, I) with what was said to the voxel."""
        return (mask | self.positive) & ~self.negative


@dataclass(frozen=True, eq=False)
class Said:
    """Prompts of one step.

    Attributes:
        marks: by slice.
        looked_at: the slices that the network is to look at, since the user pointed there; in the others it is only told.
        bounds: the slices that a box of several slices leaves to the object, a range; None where there was none.
    """

    marks: Mapping[int, Marks]
    looked_at: tuple[int, ...]
    bounds: range | None

    @classmethod
    def of(cls, prompts: Iterable[Prompt], slices: Slices, plane: tuple[int, ...]) -> Said:
        """`prompts` on `slices` of shape `plane` (J, I).

        Raises:
            InputError: for prompts that do not lie in the image.
        """
        marks: dict[int, Marks] = {}
        looked_at: set[int] = set()
        bounds: range | None = None

        def say(number: int, where: Mask, *, kind: str) -> None:
            none = np.zeros(plane, np.bool_)
            new = Marks(*(where if kind == name else none for name in ("positive", "negative", "area")))
            marks[number] = marks.get(number, Marks.none(plane)).then(new)

        for prompt in prompts:
            kind = "negative" if not prompt.positive else "area" if isinstance(prompt, Box | Lasso) else "positive"
            if isinstance(prompt, Box):
                numbers, *window = slices.ranges(prompt.area(slices.shape))
                where = np.zeros(plane, np.bool_)
                where[tuple(window)] = True
                for number in range(numbers.start, numbers.stop):
                    say(number, where, kind=kind)
                if kind == "area":
                    looked_at.add((numbers.start + numbers.stop - 1) // 2)
                if kind == "area" and numbers.stop - numbers.start > 1:
                    wider = bounds or range(numbers.start, numbers.stop)
                    bounds = range(min(wider.start, numbers.start), max(wider.stop, numbers.stop))
                elif kind == "negative" and numbers.stop - numbers.start == 1:
                    looked_at.add(numbers.start)
                continue
            places = slices.places(prompt.marks(slices.shape))
            for number in np.unique(places[:, 0]).tolist():
                where = np.zeros(plane, np.bool_)
                here = places[places[:, 0] == number]
                where[here[:, 1], here[:, 2]] = True
                say(number, where, kind=kind)
                looked_at.add(number)
        return cls(marks, tuple(sorted(looked_at)), bounds)
