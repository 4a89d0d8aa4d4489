"""How a choice of scope becomes the core's box, or axis and slice."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from .parameters import Checked, Scope
from .pictures import Picture
from .problem import Problem


def arguments(picture: Picture, choice: Any, *, spatial_dims: int) -> dict[str, Any]:
    """The core's `box`, `axis` and `slice`.

    Args:
        picture: what is to be segmented.
        choice: the module's parameters.
        spatial_dims: of the model: a 2D model sees a volume slice by slice.

    Raises:
        Problem: if the view or the region that is meant is not there.
    """
    is_sliced = spatial_dims == 2
    if choice.scope is Scope.SLICE:
        axis, number = picture.slice(view(choice.view))
        return {"axis": axis, "slice": number} if is_sliced else {"box": _one_slice(picture, axis, number)}
    found: dict[str, Any] = {}
    if choice.scope is Scope.ROI:
        found["box"] = picture.box(choice.roi)
    if is_sliced:
        # A picture is a volume of one slice, whatever the view looks at.
        found["axis"] = picture.shape.index(1) if picture.is_flat else picture.axis(view(choice.view))
    return found


def checked(picture: Picture, choice: Any) -> Any:
    """What was looked at, as the core wants it: slices by array axis, a mask, or None for everything.

    Raises:
        Problem: if the view or the region that is meant is not there.
    """
    if choice.checked is Checked.ALL:
        return None
    if choice.checked is Checked.SLICE:
        axis, number = picture.slice(view(choice.view))
        return {axis: [number]}
    mask = np.zeros(picture.shape, np.uint8)
    mask[tuple(slice(start, stop) for start, stop in picture.box(choice.roi))] = 1
    return mask


def view(name: str) -> Any:
    """The slice view of a name.

    Raises:
        Problem: if the layout has none.
    """
    node = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")
    if node is None:
        raise Problem(_("Expected the slice view {name}, found none; choose a layout that has it, such as Four-Up").format(name=name))
    return node


def _one_slice(picture: Picture, axis: int, number: int) -> list[list[int]]:
    box = [[0, n] for n in picture.shape]
    box[axis] = [number, number + 1]
    return box
