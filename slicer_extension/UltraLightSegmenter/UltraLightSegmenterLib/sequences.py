"""Volumes that show one frame of a sequence at a time: another a moment later, when the user browses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import slicer
from slicer.i18n import tr as _


@dataclass(frozen=True)
class Frame:
    """What of a sequence a volume shows.

    Attributes:
        browser: the node that a user browses with.
        sequence: the node that holds all frames.
        number: of the frame, from 0.
        count: of frames.
    """

    browser: Any
    sequence: Any
    number: int
    count: int

    def at(self, number: int) -> Frame:
        """Another frame of the same sequence."""
        return replace(self, number=number)

    @property
    def node(self) -> Any:
        """The node that the sequence holds for this frame."""
        return self.sequence.GetDataNodeAtValue(self.browser.GetMasterSequenceNode().GetNthIndexValue(self.number))

    def __str__(self) -> str:
        return _("frame {number} of {count}").format(number=self.number + 1, count=self.count)


def frame_of(node: Any) -> Frame | None:
    """The frame that a node shows, None if it belongs to no sequence."""
    if node is None:
        return None
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        sequence = browser.GetSequenceNode(node)
        if sequence is not None and browser.GetSelectedItemNumber() >= 0:
            return Frame(browser, sequence, browser.GetSelectedItemNumber(), browser.GetNumberOfItems())
    return None
