"""Slicer's place mode for prompts: points, a curve or an ROI that nobody saves, and what was placed with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .preview import hidden_node, remove
from .prompts import Mark, Shape, Tool

_CLASSES = {
    Shape.POINT: "vtkMRMLMarkupsFiducialNode",
    Shape.STROKE: "vtkMRMLMarkupsCurveNode",
    Shape.BOX: "vtkMRMLMarkupsROINode",
}

_COLORS = {True: (0.30, 0.69, 0.31), False: (0.96, 0.26, 0.21)}
"""Of what belongs to the object, and of what does not."""


class Placing(VTKObservationMixin):
    """Lets a user place one thing after another, until the tool is put down.

    Attributes:
        placed: called with each mark.
        put_down: called when the user has left place mode: with Esc, or with another mouse mode.
        tool: in use, or None.
    """

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self.placed: Callable[[Mark], None] = lambda mark: None
        self.put_down: Callable[[], None] = lambda: None
        self.tool: Tool | None = None
        self._node: Any = None
        self._nodes: list[Any] = []
        self._known: set[tuple[str, str]] = set()
        self._is_switching = False

    def use(self, tool: Tool | None) -> None:
        """Take up a tool, or put it down."""
        self._stop()
        self.tool = tool
        if tool is not None:
            self._begin(tool)

    def go_on(self) -> None:
        """After a stroke or a box: let the user place another one."""
        if self.tool is not None and not self._is_placing:
            self._begin(self.tool)

    def remove(self, mark: Mark) -> None:
        """Take a mark out of the views."""
        if not mark.point:
            self._forget(mark.node)
            return
        index = mark.node.GetNthControlPointIndexByID(mark.point)
        if index >= 0:
            mark.node.RemoveNthControlPoint(index)

    def clear(self) -> None:
        """Take all marks out of the views; the tool stays in hand."""
        tool = self.tool
        self.use(None)
        for node in list(self._nodes):
            self._forget(node)
        self.use(tool)

    @property
    def _is_placing(self) -> bool:
        node = _interaction()
        return node is not None and node.GetCurrentInteractionMode() == node.Place

    def _begin(self, tool: Tool) -> None:
        self._node = self._markup(tool)
        interaction, selection = _interaction(), slicer.app.applicationLogic().GetSelectionNode()
        self._is_switching = True
        selection.SetReferenceActivePlaceNodeClassName(_CLASSES[tool.shape])
        selection.SetActivePlaceNodeID(self._node.GetID())
        if tool.shape is Shape.POINT:
            interaction.SwitchToPersistentPlaceMode()
        else:
            interaction.SwitchToSinglePlaceMode()
        self._is_switching = False
        self.addObserver(interaction, interaction.EndPlacementEvent, self._on_end)

    def _stop(self) -> None:
        """Leave place mode, and forget what was not finished."""
        self.removeObservers(self._on_end)
        node, self._node = self._node, None
        if node is None:
            return
        self.removeObservers(self._on_point)
        if self._is_placing:
            _interaction().SwitchToViewTransformMode()
        if not self._is_finished(node):
            self._forget(node)

    def _markup(self, tool: Tool) -> Any:
        """The node that takes what is placed: all points of one sign have one, strokes and boxes one each."""
        name = _("Belongs to the object") if tool.positive else _("Does not belong to it")
        if tool.shape is Shape.POINT:
            for known in self._nodes:
                if known.IsA(_CLASSES[tool.shape]) and known.GetName() == name:
                    self.addObserver(known, known.PointPositionDefinedEvent, self._on_point)
                    return known
        node = hidden_node(_CLASSES[tool.shape], name)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetSelectedColor(*_COLORS[tool.positive])
        display.SetColor(*_COLORS[tool.positive])
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        if tool.shape is Shape.STROKE:
            # Straight from click to click: a curve would swing out of what is thin.
            node.SetCurveTypeToLinear()
        if tool.shape is Shape.BOX:
            display.SetHandlesInteractive(False)
        if tool.shape is Shape.POINT:
            self.addObserver(node, node.PointPositionDefinedEvent, self._on_point)
        self._nodes.append(node)
        return node

    def _on_point(self, node: Any, event: object) -> None:
        """A point has been placed: the one that was not there before."""
        for index in range(node.GetNumberOfControlPoints()):
            name = node.GetNthControlPointID(index)
            is_new = (node.GetID(), name) not in self._known and node.GetNthControlPointPositionStatus(index) == node.PositionDefined
            if is_new and self.tool is not None:
                self._known.add((node.GetID(), name))
                # What was said is moved by saying something else.
                node.SetNthControlPointLocked(index, True)
                self.placed(Mark(self.tool, node, name))

    def _on_end(self, interaction: Any, event: object) -> None:
        """Place mode has ended: a stroke or a box is finished, or the user has had enough."""
        if self._is_switching or self.tool is None:
            return
        self.removeObservers(self._on_end)
        node, tool, self._node = self._node, self.tool, None
        if tool.shape is not Shape.POINT and self._is_finished(node):
            node.SetLocked(True)
            self.placed(Mark(tool, node))
            return
        if tool.shape is not Shape.POINT:
            self._forget(node)
        self.removeObservers(self._on_point)
        self.tool = None
        self.put_down()

    def _is_finished(self, node: Any) -> bool:
        """Whether something was placed with a node that counts."""
        count = node.GetNumberOfDefinedControlPoints()
        return bool(count) and (not node.IsA(_CLASSES[Shape.BOX]) or min(node.GetSize()) > 0)

    def _forget(self, node: Any) -> None:
        self._nodes = [other for other in self._nodes if other is not node]
        # A scene gives the names of nodes that are gone to others.
        self._known = {known for known in self._known if known[0] != node.GetID()}
        remove(node)


def _interaction() -> Any:
    return slicer.app.applicationLogic().GetInteractionNode()
