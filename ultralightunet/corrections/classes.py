"""The classes of a store: they can only grow, and a number keeps its meaning."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..models import LabelClass
from ..models.metadata import class_of

_UNNAMED = re.compile(r"class \d+")


def named_classes(names: Sequence[str]) -> tuple[LabelClass, ...]:
    """Background and a class of each name, in colours that are easy to tell apart."""
    return (LabelClass(0, "background", (0, 0, 0)), *(LabelClass(n, name, _color(n)) for n, name in enumerate(names, start=1)))


def unnamed_classes(count: int) -> tuple[LabelClass, ...]:
    """Background and `count` classes that have numbers only; a later correction may name them."""
    return named_classes([f"class {n}" for n in range(1, count + 1)])


def _color(number: int) -> tuple[int, int, int]:
    """Hues a golden section apart: however many there are, neighbours differ."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.65, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def check_classes(classes: Sequence[LabelClass]) -> None:
    """Whether these are the classes 0, 1, 2, ... and at least one more than the background.

    Raises:
        InputError: if not.
    """
    indices = [entry.index for entry in classes]
    if len(indices) < 2 or indices != list(range(len(indices))) or len(indices) > 65535:
        raise InputError(f"expected classes numbered 0 (background), 1, 2, ..., found {indices}; say what the labels mean")


def merged(known: Sequence[LabelClass], new: Sequence[LabelClass]) -> tuple[LabelClass, ...]:
    """The classes of a store that knows `known` and is given `new`.

    Raises:
        InputError: if a number means another thing than before.
    """
    for before, after in zip(known[1:], new[1:], strict=False):
        if before.name != after.name and not _UNNAMED.fullmatch(before.name) and not _UNNAMED.fullmatch(after.name):
            raise InputError(
                f"expected class {after.index} to be {before.name!r} as in this store's other corrections, found {after.name!r}; "
                "keep one store for each task"
            )
    named = [before if _UNNAMED.fullmatch(after.name) else after for before, after in zip(known, new, strict=False)]
    return (*named, *known[len(named) :], *new[len(named) :])


def merged_all(tables: Iterable[Sequence[LabelClass]]) -> tuple[LabelClass, ...]:
    """The classes of a store from those of its corrections, the oldest first."""
    found: tuple[LabelClass, ...] = ()
    for table in tables:
        found = merged(found, table)
    return found


def classes_to_json(classes: Sequence[LabelClass]) -> list[dict[str, Any]]:
    """As in a model's metadata."""
    return [{"index": c.index, "name": c.name, "color": list(c.color), "snomed": c.snomed} for c in classes]


def classes_from_json(entries: Iterable[Mapping[str, Any]]) -> tuple[LabelClass, ...]:
    """The reverse of `classes_to_json`.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, OverflowError: for anything else.
    """
    found = tuple(class_of(entry) for entry in entries)
    if any(not 0 <= value <= 255 for entry in found for value in entry.color):
        raise ValueError("a class's color is not three numbers from 0 to 255")
    return found
