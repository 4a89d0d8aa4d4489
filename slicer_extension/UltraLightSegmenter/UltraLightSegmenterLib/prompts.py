"""What was placed in the views, as a prompt in voxels of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from .pictures import Picture
from .problem import Problem
from .process import Facts


class Shape(Enum):
    """What a user places."""

    POINT = "point"
    STROKE = "stroke"
    BOX = "box"


@dataclass(frozen=True)
class Tool:
    """What the next click in a view means.

    Attributes:
        shape: what is placed.
        positive: whether it says what belongs to the object, or what does not.
    """

    shape: Shape
    positive: bool


@dataclass(frozen=True)
class Mark:
    """One thing that was placed.

    Attributes:
        tool: with which.
        node: the markups node.
        point: ID of the control point, where a node holds the points of several marks; else "".
    """

    tool: Tool
    node: Any
    point: str = ""


def prompt_of(mark: Mark, picture: Picture, axis: int | None) -> Facts:
    """A prompt as the process takes it.

    Args:
        mark: what was placed.
        picture: of the volume.
        axis: of its array, across which the view shows slices: a box drawn in a slice counts in that slice. None: as it is.

    Raises:
        Problem: if it lies beside the volume.
    """
    said: Facts = {"kind": mark.tool.shape.value, "positive": mark.tool.positive}
    if mark.tool.shape is Shape.BOX:
        ranges = picture.box(mark.node)
        if axis is not None:
            # Slicer gives a box that was drawn in a slice some depth of its own.
            middle = _inside([picture.voxel(mark.node.GetCenterWorld())], picture)[0][axis]
            ranges[axis] = [middle, middle + 1]
        return {**said, "ranges": ranges}
    if mark.tool.shape is Shape.POINT:
        place = mark.node.GetNthControlPointPositionWorld(mark.node.GetNthControlPointIndexByID(mark.point))
        return {**said, "voxel": _inside([picture.voxel(place)], picture)[0]}
    # Those that were placed, and not the one that may still hang on the mouse.
    placed = [
        n for n in range(mark.node.GetNumberOfControlPoints()) if mark.node.GetNthControlPointPositionStatus(n) == mark.node.PositionDefined
    ]
    path = np.array([picture.voxel(mark.node.GetNthControlPointPositionWorld(n)) for n in placed])
    within = ((np.rint(path) >= 0) & (np.rint(path) < picture.shape)).all(1)
    _inside(path if not within.any() else path[within], picture)
    return {**said, "path": path.tolist()}


def _inside(voxels: Any, picture: Picture) -> list[list[int]]:
    """Whole voxels (k, j, i).

    Raises:
        Problem: if one lies outside the volume.
    """
    found = np.rint(voxels).astype(int)
    if not ((found >= 0) & (found < picture.shape)).all():
        raise Problem(_("Expected a place on {name}, found one beside it; point at the volume").format(name=picture.node.GetName()))
    return found.tolist()
