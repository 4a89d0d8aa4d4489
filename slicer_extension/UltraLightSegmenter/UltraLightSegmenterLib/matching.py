"""Which class a segment is: by its name, by what it was made for, by its terminology, or at last by its label value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import slicer
import vtk

Classes = Sequence[Mapping[str, Any]]

_TISSUE = "85756007"

_SAYS_NOTHING = re.compile(r"(segment|label|region|class)?[\s_-]*\d*", re.IGNORECASE)
"""Names that Slicer gives to segments of a label map without names."""

_COLOURS_THAT_SAY_NOTHING = ("GenericAnatomyColors", "GenericColors", "Labels")
"""Slicer's colour tables that a label map gets by default: the first calls label 1 "tissue" and label 2 "bone", whatever they are."""


def indices(node: Any, classes: Classes, made: Classes = ()) -> dict[str, int | None]:
    """The class of each segment by the segment's ID, None for one that is no class yet.

    Args:
        node: the segmentation.
        classes: that there are, background first.
        made: those that the segmentation was made with, whose segments a person may have renamed.
    """
    certain = _certain(node, classes, made)
    return {**certain, **_by_value(node, classes, certain)}


def guesses(node: Any, classes: Classes, made: Classes = ()) -> dict[str, str]:
    """Name of segment -> name of class, where nothing but the label value says so: a person has to agree."""
    names = {entry["index"]: entry["name"] for entry in classes}
    found = _by_value(node, classes, _certain(node, classes, made))
    return {node.GetSegmentation().GetSegment(segment).GetName(): names[index] for segment, index in found.items()}


def snomed(segment: Any) -> str:
    """The SNOMED CT code of a segment's type, "" where it says no more than tissue."""
    text = vtk.reference("")
    if not segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text):
        return ""
    parts = str(text).split("~")
    scheme, _, rest = parts[2].partition("^") if len(parts) > 2 else ("", "", "")
    code = rest.partition("^")[0]
    return code if scheme == "SCT" and code != _TISSUE else ""


def _certain(node: Any, classes: Classes, made: Classes) -> dict[str, int | None]:
    by_name = {entry["name"].casefold(): entry["index"] for entry in classes if entry["index"]}
    by_id = {f"Segment_{entry['index']}": entry["index"] for entry in made if entry["index"]}
    segments = _segments(node)
    found = {name: by_name.get(segment.GetName().casefold(), by_id.get(name)) for name, segment in segments.items()}
    codes = [snomed(segment) for segment in segments.values()]
    for entry in classes:
        code = entry.get("snomed", "")
        # Left and right may share a code: it tells them apart no more.
        if code and entry["index"] not in found.values() and codes.count(code) == 1 == _count(classes, code):
            (name,) = (name for name, segment in segments.items() if snomed(segment) == code)
            found[name] = entry["index"] if found[name] is None else found[name]
    return found


def _by_value(node: Any, classes: Classes, certain: Mapping[str, int | None]) -> dict[str, int]:
    free = {entry["index"] for entry in classes if entry["index"]} - set(certain.values())
    found = {}
    for name, segment in _segments(node).items():
        value = segment.GetLabelValue()
        if certain[name] is None and value in free and _says_nothing(node, segment):
            free.remove(value)
            found[name] = value
    return found


def _count(classes: Classes, code: str) -> int:
    return sum(entry.get("snomed", "") == code for entry in classes)


def _segments(node: Any) -> dict[str, Any]:
    segmentation = node.GetSegmentation()
    return {name: segmentation.GetSegment(name) for name in segmentation.GetSegmentIDs()}


def _says_nothing(node: Any, segment: Any) -> bool:
    """Whether a segment's name was given by Slicer and not by a person."""
    if _SAYS_NOTHING.fullmatch(segment.GetName()):
        return True
    colours = node.GetLabelmapConversionColorTableNode()
    return (
        colours is not None
        and colours.GetName() in _COLOURS_THAT_SAY_NOTHING
        and colours.GetColorName(segment.GetLabelValue()) == segment.GetName()
    )
