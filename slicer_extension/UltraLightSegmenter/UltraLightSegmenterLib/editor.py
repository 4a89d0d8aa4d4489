"""Slicer's Segment Editor inside the module."""

from __future__ import annotations

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
