"""Which class a segment is."""

from __future__ import annotations

from typing import Any

import pytest
import slicer
from UltraLightSegmenterLib.matching import guesses, indices

CLASSES = [
    {"index": 0, "name": "background", "snomed": ""},
    {"index": 1, "name": "liver", "snomed": "10200004"},
    {"index": 2, "name": "left kidney", "snomed": "64033007"},
    {"index": 3, "name": "right kidney", "snomed": "64033007"},
]


def segmentation(*segments: tuple[str, int, str]) -> Any:
    """A segmentation of segments with a name, a label value and a SNOMED CT code."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segments")
    for name, value, code in segments:
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetLabelValue(value)
        segment.SetTag(segment.GetTerminologyEntryTagName(), f"List~SCT^123037004^Anatomical Structure~SCT^{code}^{name}~^^~~^^~^^")
        node.GetSegmentation().AddSegment(segment, name)
    return node


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([("Liver", 7, ""), ("RIGHT KIDNEY", 1, "")], [1, 3]),
        ([("Hepar", 7, "10200004"), ("left kidney", 1, "")], [1, 2]),
        ([("Segment_1", 1, ""), ("Label_3", 3, "")], [1, 3]),
        ([("spleen", 1, ""), ("cyst", 2, "")], [None, None]),
        # One code for two classes tells neither.
        ([("kidney", 2, "64033007")], [None]),
        # What has been matched by its name is not matched once more.
        ([("liver", 5, "10200004"), ("liver 2", 1, "10200004"), ("Segment_1", 1, "")], [1, None, None]),
    ],
    ids=["name", "terminology", "label value", "new classes", "a code that two share", "each class once"],
)
def test_a_segment_is_the_class_of_its_name_then_its_terminology_then_its_value(
    segments: list[tuple[str, int, str]], expected: list[int | None]
) -> None:
    node = segmentation(*segments)
    assert list(indices(node, CLASSES).values()) == expected


def test_only_what_nothing_but_the_value_tells_is_a_guess() -> None:
    node = segmentation(("liver", 2, ""), ("Segment_3", 3, ""), ("spleen", 2, ""))
    assert guesses(node, CLASSES) == {"Segment_3": "right kidney"}


def test_a_segment_that_was_renamed_stays_the_class_that_it_was_made_for() -> None:
    node = segmentation(("Segment_2", 2, ""))
    node.GetSegmentation().GetSegment("Segment_2").SetName("the kidney on the left")
    assert indices(node, CLASSES, made=CLASSES) == {"Segment_2": 2}
