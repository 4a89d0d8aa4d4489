"""The mask of the object that is pointed at, in the views: a segmentation that nobody saves and no list shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from .masks import Mask
from .pictures import Picture

_OBJECT = "Object"
"""ID of its only segment."""


class Preview:
    """Shows a mask over a volume; made when there is one to show, gone with `close`."""

    def __init__(self) -> None:
        self._node: Any = None

    @property
    def node(self) -> Any:
        """The segmentation node, or None."""
        return self._node

    def show(self, mask: Mask, picture: Picture, color: Sequence[float]) -> None:
        """Show a mask, in a colour of three shares."""
        if self._node is None or slicer.mrmlScene.GetNodeByID(self._node.GetID()) is not self._node:
            self._node = hidden_node("vtkMRMLSegmentationNode", _("Pointing (preview)"))
            self._node.CreateDefaultDisplayNodes()
            self._node.GetDisplayNode().SetOpacity2DFill(0.5)
            for number in range(self._node.GetNumberOfDisplayNodes()):
                self._node.GetNthDisplayNode(number).SetSaveWithScene(False)
        self._node.SetAndObserveTransformNodeID(picture.node.GetTransformNodeID())
        segmentation = self._node.GetSegmentation()
        segmentation.RemoveAllSegments()
        if not mask.voxels:
            return
        segment = slicer.vtkSegment()
        segment.SetName(_("Object"))
        segment.SetColor(*color)
        segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), mask.image(picture.affine))
        segmentation.AddSegment(segment, _OBJECT)

    def paint(self, color: Sequence[float]) -> None:
        """Show the mask in another colour."""
        segment = None if self._node is None else self._node.GetSegmentation().GetSegment(_OBJECT)
        if segment is not None and not np.allclose(segment.GetColor(), color):
            segment.SetColor(*color)

    def close(self) -> None:
        """Take it out of the scene."""
        node, self._node = self._node, None
        remove(node)


def hidden_node(class_name: str, name: str) -> Any:
    """A new node that is shown in the views, but neither listed nor saved nor part of an undo."""
    node = slicer.mrmlScene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAttribute(slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName(), "1")
    return slicer.mrmlScene.AddNode(node)


def remove(node: Any) -> None:
    """Take a node out of the scene, if it is there, with what displays it."""
    if node is None or slicer.mrmlScene.GetNodeByID(node.GetID() or "") is not node:
        return
    displays = [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
    for gone in (node, *filter(None, displays)):
        slicer.mrmlScene.RemoveNode(gone)
