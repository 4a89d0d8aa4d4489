"""Slicer's Segment Editor inside the module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

from .segmentations import volume_of

TAG = "UltraLightSegmenter"
"""Of the node that holds the editor's state, so that it is not the one of the module Segment Editor."""


class Editor:
    """Lets a segmentation be corrected; holds on to nothing in the scene once it is detached.

    Attributes:
        widget: Slicer's segment editor.
    """

    def __init__(self, widget: Any) -> None:
        self.widget = widget
        widget.maximumNumberOfUndoStates = 10
        # The parameters say which segmentation is meant.
        widget.setSegmentationNodeSelectorVisible(False)
        self.attach()

    def attach(self) -> None:
        """Give the editor the scene and a node to keep its state in."""
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(TAG)
            node = scene.AddNode(node)
        if self.widget.mrmlSegmentEditorNode() is not node:
            # The node first, so that what the widget chooses by itself when it gets the scene is kept in it.
            self.widget.setMRMLSegmentEditorNode(node)
            self.widget.setMRMLScene(scene)

    def show(self, segmentation: Any) -> None:
        """Edit a segmentation, over the volume that it was made for; None for none."""
        if self.widget.mrmlSegmentEditorNode() is None or self.widget.segmentationNode() is segmentation:
            return
        self.widget.setSegmentationNode(segmentation)
        volume = None if segmentation is None else volume_of(segmentation)
        if volume is not None:
            self.widget.setSourceVolumeNode(volume)

    @property
    def segmentation(self) -> Any:
        """The segmentation that is edited, or None."""
        return None if self.widget.mrmlSegmentEditorNode() is None else self.widget.segmentationNode()

    @property
    def segment_id(self) -> str:
        """ID of the segment that is selected, "" for none."""
        node = self.widget.mrmlSegmentEditorNode()
        return "" if node is None else node.GetSelectedSegmentID() or ""

    @property
    def segment(self) -> Any:
        """The segment that is selected, or None."""
        return None if self.segmentation is None else self.segmentation.GetSegmentation().GetSegment(self.segment_id)

    def add_segment(self, name: str = "", color: Sequence[int] | None = None) -> None:
        """Add a segment, named and coloured by Slicer where nothing is said, and select it."""
        segmentation = self.segmentation.GetSegmentation()
        segment_id = segmentation.AddEmptySegment("", name)
        if color is not None:
            segmentation.GetSegment(segment_id).SetColor(*(value / 255 for value in color))
        self.widget.mrmlSegmentEditorNode().SetSelectedSegmentID(segment_id)

    def select_next(self) -> None:
        """Select the segment after the one that is selected; after the last one, a new one."""
        names = list(self.segmentation.GetSegmentation().GetSegmentIDs())
        place = names.index(self.segment_id) + 1 if self.segment_id in names else len(names)
        if place < len(names):
            self.widget.mrmlSegmentEditorNode().SetSelectedSegmentID(names[place])
        else:
            self.add_segment()

    def change(self, added: Any, removed: Any) -> None:
        """Change the segment that is selected as the editor's effects do: where its Masking allows it, and as one step of its Undo.

        Args:
            added: vtkOrientedImageData, 1 where the segment gets voxels; None for none.
            removed: the same where it loses some.
        """
        node = self.widget.mrmlSegmentEditorNode()
        self.widget.saveStateForUndo()
        rules = slicer.vtkSlicerSegmentEditorLogic()
        rules.SetMRMLScene(slicer.mrmlScene)
        rules.SetSegmentEditorNode(node)
        for image, mode in ((removed, rules.ModificationModeRemove), (added, rules.ModificationModeAdd)):
            if image is not None:
                rules.ModifySegmentByLabelmap(self.segmentation, self.segment_id, image, mode, True, False)
        # It must not go on observing.
        rules.SetSegmentEditorNode(None)
        rules.SetMRMLScene(None)

    def enter(self) -> None:
        """The module is shown."""
        self.attach()
        self.widget.setupViewObservations()
        self.widget.installKeyboardShortcuts()

    def exit(self) -> None:
        """Another module is shown."""
        if self.widget.mrmlSegmentEditorNode() is not None:
            self.widget.setActiveEffectByName("")
        self.widget.uninstallKeyboardShortcuts()
        self.widget.removeViewObservations()

    def detach(self) -> None:
        """Let go of the scene; without this Slicer crashes when it goes first."""
        if self.widget.mrmlSegmentEditorNode() is not None:
            self.exit()
            self.widget.setSegmentationNode(None)
        self.widget.setMRMLSegmentEditorNode(None)
        self.widget.setMRMLScene(None)
