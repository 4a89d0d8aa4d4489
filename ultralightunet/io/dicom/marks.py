"""What tells DICOM images at one position apart: times, echoes, b-values and the like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from .values import Elements

if TYPE_CHECKING:
    from .headers import Frame

Mark = tuple[float, ...] | tuple[str, ...]

_MARKS = {
    "TemporalPositionIdentifier": "time point",
    "TemporalPositionIndex": "time point",
    "NominalPercentageOfCardiacPhase": "cardiac phase",
    "EchoNumbers": "echo",
    "EchoTime": "echo time",
    "EffectiveEchoTime": "echo time",
    "InversionTime": "inversion time",
    "FlipAngle": "flip angle",
    "DiffusionBValue": "b-value",
    "SiemensBValue": "b-value",
    "GEBValue": "b-value",
    "PhilipsBValue": "b-value",
    "DiffusionGradientOrientation": "gradient direction",
    "SiemensGradientDirection": "gradient direction",
    "KVP": "tube voltage",
    "ConvolutionKernel": "kernel",
    "ComplexImageComponent": "component",
    "ImageType": "image type",
    "SequenceName": "sequence",
    "StackID": "stack",
    "TriggerTime": "trigger time",
    "AcquisitionNumber": "acquisition",
}
"""Elements that are equal for all slices of a volume, in the order in which they sort volumes, and what a person calls them."""

_RANKS = ("TriggerTime",)
"""What differs from slice to slice, but sorts the images of each: the phases of a heart."""

_PROGRESS = ("FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime", "ContentTime", "InstanceNumber", "frame")
"""What grows from image to image: it sorts volumes only where these follow one another, or all images at one place do."""

_INSIDE = (
    "FrameContentSequence",
    "MREchoSequence",
    "MRDiffusionSequence",
    "DiffusionGradientDirectionSequence",
)
"""Functional groups that hold such elements."""


def marks_of(places: Sequence[Elements]) -> dict[str, Mark]:
    """The marks that `places` hold, the first of them before the others."""
    found: dict[str, Mark] = {}
    for place in reversed(places):
        for inside in _INSIDE:
            found |= marks_of(place.items(inside)[:1])
        for name in (*_MARKS, *_PROGRESS):
            if name in place:
                found[name] = place.numbers(name) or (place.text(name),)
        for number, value in enumerate(place.numbers("DimensionIndexValues")):
            found[f"dimension {number + 1}"] = (value,)
    return found


def by_volume(places: Sequence[Sequence[Frame]], path: Path) -> tuple[list[list[Frame]], str]:
    """The frames of each place in the order of the volumes that they belong to, and what tells these apart.

    Args:
        places: frames at one position each, equally many.
        path: of the folder or file, for the sentence.

    Raises:
        InputError: if nothing tells them apart.
    """
    names = [name for name in _all_names(places) if _is_of_volumes(name, places)]

    def key(frame: Frame) -> tuple[Any, ...]:
        return tuple(_sortable(frame, name) for name in names)

    keys = [sorted(map(key, place)) for place in places]
    if all(found == keys[0] for found in keys):
        # Runs of images that these marks leave alike.
        starts = [n for n, found in enumerate(keys[0]) if n == 0 or found != keys[0][n - 1]]
        runs = list(zip(starts, [*starts[1:], len(keys[0])], strict=True))
        for progress in (*_RANKS, *_PROGRESS):
            ordered = [sorted(place, key=lambda frame: (key(frame), _sortable(frame, progress))) for place in places]
            if all(_sorts([place[a:b] for place in ordered], progress) for a, b in runs):
                return ordered, _told(places, names)
    raise InputError(
        f"expected images that say which volume they belong to, found {len(places[0])} at each of {len(places)} position(s) in {path} "
        "that no time, echo, b-value or number tells apart; give a folder with the images of one volume"
    )


def _all_names(places: Sequence[Sequence[Frame]]) -> list[str]:
    """Marks in the order in which they sort volumes."""
    dimensions = {name for place in places for frame in place for name in frame.marks if name.startswith("dimension")}
    return [*_MARKS, *sorted(dimensions)]


def _is_of_volumes(name: str, places: Sequence[Sequence[Frame]]) -> bool:
    """Whether the same different values occur at each place."""
    values = [sorted(_sortable(frame, name) for frame in place) for place in places]
    return values[0][0] != values[0][-1] and all(found == values[0] for found in values)


def _sorts(places: Sequence[Sequence[Frame]], name: str) -> bool:
    """Whether mark `name` says to which volume each frame belongs."""
    if len(places[0]) == 1:
        return True
    if not all(name in frame.marks for place in places for frame in place):
        return False
    values = [[_sortable(frame, name) for frame in place] for place in places]
    if not all(len(set(place)) == len(place) for place in values):
        return False
    return name in _RANKS or _are_apart(values) or _are_apart(list(zip(*values, strict=True)))


def _are_apart(groups: Sequence[Sequence[Any]]) -> bool:
    """Whether all values of one group come before those of the next."""
    ordered = sorted((min(group), max(group)) for group in groups)
    return all(one[1] < following[0] for one, following in pairwise(ordered))


def _sortable(frame: Frame, name: str) -> tuple[str, Mark]:
    """A mark that can be compared with any other of its name: absent ones first, then numbers, then texts."""
    mark = frame.marks.get(name, ())
    return ("" if not mark else "number" if isinstance(mark[0], float) else "text", mark)


def _told(places: Sequence[Sequence[Frame]], names: Sequence[str]) -> str:
    """Words such as "echo time 10, 80"."""
    named = [name for name in names if name in _MARKS]
    if not named:
        return ""
    values = sorted({_sortable(frame, named[0]) for frame in places[0]})
    shown = ["none" if not mark else "/".join(f"{part:g}" if isinstance(part, float) else part for part in mark) for _, mark in values[:6]]
    return f"{_MARKS[named[0]]} {', '.join(shown)}{', ...' if len(values) > 6 else ''}"
