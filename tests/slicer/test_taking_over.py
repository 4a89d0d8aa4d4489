"""What was pointed at becomes part of a segment by the rules of Slicer's own Segment Editor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import slicer
from UltraLightSegmenterLib.editor import Editor
from UltraLightSegmenterLib.masks import Mask
from UltraLightSegmenterLib.pictures import Picture
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.segmentations import make_segmentation
from UltraLightSegmenterLib.sight import Sight
from UltraLightSegmenterLib.taking_over import TakingOver

from tests.slicer.conftest import add_transform, noisy, rotation
from tests.slicer.pointer import scan, voxels_of
from tests.slicer.qt_doubles import SegmentEditorWidget

SHAPE = (5, 40, 48)
CLASSES = [
    {"index": 0, "name": "background", "color": [0, 0, 0], "snomed": ""},
    {"index": 1, "name": "one", "color": [255, 0, 0], "snomed": ""},
    {"index": 2, "name": "two", "color": [0, 255, 0], "snomed": ""},
]


def block(k: tuple[int, int], j: tuple[int, int], i: tuple[int, int]) -> Mask:
    """A box of voxels, half-open ranges."""
    ranges = [list(k), list(j), list(i)]
    return Mask(ranges, np.ones([b - a for a, b in ranges], np.bool_))


def filled(*masks: Mask) -> Any:
    """Several masks on the volume's grid, bool."""
    return np.logical_or.reduce([mask.on([[0, n] for n in SHAPE]) for mask in masks])


@dataclass
class Desk:
    """A volume, two segments over it and the editor that is open on the first."""

    volume: Any
    agrees: bool = True
    asked: list[str] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.editor = Editor(SegmentEditorWidget())
        self.taking_over = TakingOver(self.editor, self._confirm, self.made.append)

    def segment(self, *, transform: Any = None) -> Any:
        """Segments "one", in rows 0 to 10, and "two", in rows 20 to 30."""
        labels = np.zeros(SHAPE, np.uint8)
        labels[:, :10], labels[:, 20:30] = 1, 2
        self.volume.SetAndObserveTransformNodeID(None if transform is None else transform.GetID())
        node = make_segmentation(labels, Picture.of(self.volume), {"model": "small@1.0.0", "classes": CLASSES, "facts": {}})
        self.editor.show(node)
        self.select("Segment_1")
        return node

    @property
    def rules(self) -> Any:
        """What the user has chosen in the editor."""
        return self.editor.widget.mrmlSegmentEditorNode()

    def select(self, segment_id: str) -> None:
        self.rules.SetSelectedSegmentID(segment_id)

    def take_over(self, mask: Mask, replaced: Mask | None = None) -> str:
        return self.taking_over.take_over(Sight.of(Picture.of(self.volume)), mask, replaced)

    def voxels(self, segment_id: str) -> Any:
        return voxels_of(self.editor.segmentation, segment_id, self.volume)

    def _confirm(self, question: str) -> bool:
        self.asked.append(question)
        return self.agrees


@pytest.fixture
def desk() -> Desk:
    return Desk(scan())


ONE, TWO = block((0, 5), (0, 10), (0, 48)), block((0, 5), (20, 30), (0, 48))
OBJECT = block((1, 4), (5, 25), (10, 20))
"""Over both."""


def test_an_object_is_added_as_one_step_of_the_editors_undo(desk: Desk) -> None:
    desk.segment()
    mask = block((1, 3), (12, 18), (4, 9))
    said = desk.take_over(mask)
    assert said == "one: 60 voxels added, 0 removed; Undo in the Segment Editor takes it back"
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE, mask))
    np.testing.assert_array_equal(desk.voxels("Segment_2"), filled(TWO))
    desk.editor.widget.undo()
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE))
    desk.editor.widget.logic.Redo()
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE, mask))


@pytest.mark.parametrize("mode", ["OverwriteAllSegments", "OverwriteVisibleSegments", "OverwriteNone"])
@pytest.mark.parametrize("is_visible", [True, False])
def test_other_segments_give_way_only_where_the_editor_says_so(desk: Desk, mode: str, is_visible: bool) -> None:
    node = desk.segment()
    node.GetDisplayNode().SetSegmentVisibility("Segment_2", is_visible)
    desk.rules.SetOverwriteMode(getattr(desk.rules, mode))
    desk.take_over(OBJECT)
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE, OBJECT))
    gives_way = mode == "OverwriteAllSegments" or (mode == "OverwriteVisibleSegments" and is_visible)
    np.testing.assert_array_equal(desk.voxels("Segment_2"), filled(TWO) & ~filled(OBJECT) if gives_way else filled(TWO))


@pytest.mark.parametrize(
    ("mode", "allowed"),
    [
        ("EditAllowedEverywhere", np.ones(SHAPE, np.bool_)),
        ("EditAllowedInsideAllSegments", filled(ONE, TWO)),
        ("EditAllowedOutsideAllSegments", ~filled(ONE, TWO)),
        ("EditAllowedInsideSingleSegment", filled(TWO)),
    ],
)
def test_an_object_is_drawn_where_the_editors_masking_allows_it(desk: Desk, mode: str, allowed: Any) -> None:
    desk.segment()
    desk.rules.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, mode))
    desk.rules.SetMaskSegmentID("Segment_2")
    desk.rules.SetOverwriteMode(desk.rules.OverwriteNone)
    said = desk.take_over(OBJECT)
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE) | (filled(OBJECT) & allowed))
    left_out = np.count_nonzero(filled(OBJECT) & ~allowed & ~filled(ONE))
    assert (f"{left_out:,} voxels were left out, as the editor's Masking says" in said) is bool(left_out)


def test_an_object_is_drawn_only_in_the_grey_values_that_the_editor_allows(desk: Desk) -> None:
    desk.segment()
    desk.rules.SetSourceVolumeIntensityMask(True)
    desk.rules.SetSourceVolumeIntensityMaskRange(400, 1000)
    desk.take_over(OBJECT)
    bright = slicer.util.arrayFromVolume(desk.volume) >= 400
    assert (filled(OBJECT) & bright).any()
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE) | (filled(OBJECT) & bright))


def test_what_the_object_began_with_is_replaced_by_it(desk: Desk) -> None:
    desk.segment()
    mask = block((0, 5), (0, 8), (0, 48))
    said = desk.take_over(mask, replaced=ONE)
    assert "one: 0 voxels added, 480 removed" in said
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(mask))
    desk.editor.widget.undo()
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE))


def test_the_labels_that_were_clicked_on_are_what_the_object_begins_with(desk: Desk) -> None:
    picture = Picture.of(desk.volume)
    assert desk.taking_over.labels_at((2, 5, 5), picture) is None
    desk.segment()
    assert desk.taking_over.labels_at((2, 15, 5), picture) is None
    assert desk.taking_over.labels_at((2, 25, 5), picture) is None
    found = desk.taking_over.labels_at((2, 5, 5), picture)
    np.testing.assert_array_equal(filled(found), filled(ONE))


@pytest.mark.parametrize("agrees", [True, False])
def test_a_hidden_segment_is_asked_for_as_the_editors_effects_do(desk: Desk, agrees: bool) -> None:
    display = desk.segment().GetDisplayNode()
    display.SetSegmentVisibility("Segment_1", False)
    desk.agrees = agrees
    desk.take_over(OBJECT)
    assert desk.asked == ["The selected segment is hidden. Make it visible?"]
    assert bool(display.GetSegmentVisibility("Segment_1")) is agrees
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE, OBJECT))


def test_without_a_segmentation_one_is_made_for_the_volume(desk: Desk) -> None:
    desk.take_over(OBJECT)
    (node,) = desk.made
    assert desk.editor.segmentation is node
    assert node.GetName() == "Scan - objects"
    (name,) = node.GetSegmentation().GetSegmentIDs()
    assert node.GetSegmentation().GetSegment(name).GetName() == "object"
    np.testing.assert_array_equal(desk.voxels(name), filled(OBJECT))


def test_the_next_segment_is_the_one_after_it_and_at_the_end_a_new_one(desk: Desk) -> None:
    node = desk.segment()
    assert desk.taking_over.next_segment() == "two"
    desk.taking_over.next_segment()
    assert len(node.GetSegmentation().GetSegmentIDs()) == 3
    desk.take_over(block((0, 2), (12, 14), (0, 5)))
    np.testing.assert_array_equal(desk.voxels(desk.editor.segment_id), filled(block((0, 2), (12, 14), (0, 5))))


def test_a_volume_that_was_turned_by_itself_gets_its_object_where_it_is_seen(desk: Desk) -> None:
    """Half a turn around its middle puts its voxels onto those of the labels, in the other order."""
    desk.segment()
    affine = Picture.of(desk.volume).affine
    middle = (affine @ (*((n - 1) / 2 for n in SHAPE[::-1]), 1.0))[:3]
    turn = rotation(180)
    turn[:3, 3] = middle - turn[:3, :3] @ middle
    desk.volume.SetAndObserveTransformNodeID(add_transform(turn).GetID())
    seen = desk.voxels("Segment_1")
    np.testing.assert_array_equal(seen, filled(block((0, 5), (30, 40), (0, 48))))
    desk.take_over(OBJECT)
    np.testing.assert_array_equal(desk.voxels("Segment_1"), seen | filled(OBJECT))


@pytest.mark.parametrize("degrees", [0, 30])
def test_volume_and_segmentation_under_one_transform_agree(desk: Desk, degrees: float) -> None:
    desk.segment(transform=add_transform(rotation(degrees)))
    desk.take_over(OBJECT)
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE, OBJECT))


def test_labels_of_another_grid_another_image_or_of_surfaces_are_refused_and_stay(desk: Desk) -> None:
    node = desk.segment()
    slicer.util.updateVolumeFromArray(desk.volume, noisy(SHAPE))
    node.SetAttribute("UltraLight.Facts", '{"image": {"fingerprint": "of another", "frame": ""}}')
    with pytest.raises(Problem, match="was made from another"):
        desk.take_over(OBJECT)
    node.RemoveAttribute("UltraLight.Facts")
    desk.volume.SetSpacing(1.5, 1.5, 1.5)
    with pytest.raises(Problem, match="on another grid"):
        desk.take_over(OBJECT)
    node.GetSegmentation().CreateRepresentation("Closed surface")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    with pytest.raises(Problem, match="Expected segments of voxels"):
        desk.take_over(OBJECT)


def test_a_volume_that_changed_since_is_refused_and_the_segments_stay(desk: Desk) -> None:
    desk.segment()
    sight = Sight.of(Picture.of(desk.volume))
    slicer.util.updateVolumeFromArray(desk.volume, noisy(SHAPE))
    with pytest.raises(Problem, match="found its image changed"):
        desk.taking_over.take_over(sight, OBJECT, None)
    np.testing.assert_array_equal(desk.voxels("Segment_1"), filled(ONE))


def test_a_volume_that_was_only_touched_is_still_the_same() -> None:
    volume = scan()
    sight = Sight.of(Picture.of(volume))
    slicer.util.arrayFromVolumeModified(volume)
    assert sight.is_still_there()
    volume.SetOrigin(1, 2, 3)
    assert not sight.is_still_there()
