"""The object that was pointed at becomes part of the segment that is selected in the Segment Editor, by the editor's own rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from .editor import Editor
from .masks import Mask, around
from .pictures import Picture
from .problem import Problem
from .references import affine_in, check_grid
from .segmentations import FACTS, OBJECT_COLOR, binary_labelmap, empty_segmentation, facts_of
from .sight import Sight


class TakingOver:
    """Knows the segment that is meant.

    Args:
        editor: Slicer's.
        confirm: asks a person yes or no.
        made: called with a segmentation that was made because there was none.
    """

    def __init__(self, editor: Editor, confirm: Callable[[str], bool], made: Callable[[Any], None]) -> None:
        self._editor, self._confirm, self._made = editor, confirm, made

    @property
    def color(self) -> tuple[float, float, float]:
        """Of the segment that is meant."""
        segment = self._editor.segment
        return tuple(value / 255 for value in OBJECT_COLOR) if segment is None else segment.GetColor()

    def labels_at(self, voxel: Any, picture: Picture) -> Mask | None:
        """The voxels of the segment that is meant, if a voxel is among them: it is these that a user wants to change; else None."""
        node, segment = self._editor.segmentation, self._editor.segment
        if segment is None or not node.GetSegmentation().ContainsRepresentation(binary_labelmap()):
            return None
        try:
            check_grid(node, picture)
        except Problem:
            return None
        here = [[int(v), int(v) + 1] for v in voxel]
        is_there = Mask.of_segment(node, self._editor.segment_id, picture, here).voxels
        return Mask.of_segment(node, self._editor.segment_id, picture) if is_there else None

    def take_over(self, sight: Sight, mask: Mask, replaced: Mask | None) -> str:
        """Put an object into the segment, as one step of the editor's Undo.

        The editor's Masking says where that is allowed, and which other segments give way.

        Args:
            sight: what was pointed at.
            mask: of the object.
            replaced: the labels that it takes the place of, or None.

        Returns:
            What was done.

        Raises:
            Problem: if it cannot be done; nothing was changed then.
        """
        sight.check()
        picture, node = sight.picture, self._editor.segmentation
        if node is None:
            node = self._new(sight)
        self._check(node, sight)
        if not node.GetSegmentation().GetNumberOfSegments():
            self._editor.add_segment(_("object"), OBJECT_COLOR)
        elif self._editor.segment is None:
            self._editor.add_segment()
        self._show_if_wanted(node)
        name, segment_id = self._editor.segment.GetName(), self._editor.segment_id
        place = around(mask, replaced or Mask.empty())
        before = Mask.of_segment(node, segment_id, picture, place)
        affine = affine_in(node, picture)
        gone = Mask.empty() if replaced is None else replaced.without(mask)
        new = mask.without(before)
        if new.voxels or gone.voxels:
            self._editor.change(new.image(affine) if new.voxels else None, gone.image(affine) if gone.voxels else None)
        after = Mask.of_segment(node, segment_id, picture, place)
        left_out = mask.without(after).voxels
        said = _("{name}: {added} voxels added, {removed} removed; Undo in the Segment Editor takes it back").format(
            name=name, added=f"{after.without(before).voxels:,}", removed=f"{before.without(after).voxels:,}"
        )
        masked = _("{count} voxels were left out, as the editor's Masking says").format(count=f"{left_out:,}")
        return f"{said}. {masked}" if left_out else said

    def next_segment(self) -> str:
        """Select the segment after this one, a new one after the last; returns its name."""
        self._editor.select_next()
        return str(self._editor.segment.GetName())

    def _new(self, sight: Sight) -> Any:
        """A segmentation for the objects of a volume."""
        node = empty_segmentation(sight.picture, _("{volume} - objects").format(volume=sight.node.GetName()))
        node.SetAttribute(FACTS, json.dumps({"image": sight.facts}))
        self._made(node)
        self._editor.show(node)
        return node

    def _check(self, node: Any, sight: Sight) -> None:
        made = facts_of(node).get("image", {})
        if made and made["fingerprint"] != sight.fingerprint:
            raise Problem(
                _(
                    "Expected labels of the image that was pointed at, found that {name} was made from another; choose its own labels"
                ).format(name=node.GetName())
            )
        segmentation = node.GetSegmentation()
        if segmentation.GetNumberOfSegments() and segmentation.GetSourceRepresentationName() != binary_labelmap():
            raise Problem(
                _(
                    "Expected segments of voxels, found others in {name}; make “Binary labelmap” their source in the module Segmentations"
                ).format(name=node.GetName())
            )
        check_grid(node, sight.picture)

    def _show_if_wanted(self, node: Any) -> None:
        """As every effect of the editor does: ask whether a hidden segment shall be seen; it is changed all the same."""
        display, segment_id = node.GetDisplayNode(), self._editor.segment_id
        if display is None or (display.GetVisibility() and display.GetSegmentVisibility(segment_id)):
            return
        if self._confirm(_("The selected segment is hidden. Make it visible?")):
            display.SetVisibility(True)
            display.SetSegmentVisibility(segment_id, True)
