"""The volume that labels belong to: the one that they were made for, or the chosen one if they lie on its voxels."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

from .pictures import Picture
from .problem import Problem
from .segmentations import VOLUME, binary_labelmap, facts_of

NEAR = 0.1
"""Voxels by which labels may lie beside the voxels of their image: files round, and transforms add up."""


def reference_of(node: Any, chosen: Any) -> Picture:
    """What a segmentation is kept with.

    Labels that this module made are kept with the image that they were made from, told by its fingerprint: a volume may show another
    frame of a sequence by now. Other labels, from a file or drawn, are kept with the chosen volume, if they lie on its voxels; else with
    the volume that the Segment Editor drew them over.

    Args:
        node: the segmentation.
        chosen: the volume that is chosen in the module, or None.

    Raises:
        Problem: if no such volume is there.
    """
    made = facts_of(node).get("image", {})
    own = node.GetNodeReference(VOLUME)
    if made or own is not None:
        picture = _the_same(node, [own, chosen], made) if made else Picture.of(own)
        check_grid(node, picture, may_resample=True)
        return picture
    drawn_over = node.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())
    if chosen is None and drawn_over is None:
        raise Problem(
            _("Expected the volume that {name} belongs to, found none; load it and choose it under Volume").format(name=node.GetName())
        )
    if chosen is None or chosen is drawn_over:
        return Picture.of(drawn_over)
    picture = Picture.of(chosen)
    try:
        check_grid(node, picture)
    except Problem:
        if drawn_over is None:
            raise
        return Picture.of(drawn_over)
    return picture


def _the_same(node: Any, volumes: list[Any], made: dict[str, str]) -> Picture:
    """The first of some volumes that shows the image which a segmentation was made from."""
    there = [volume for volume in dict.fromkeys(volumes) if volume is not None]
    for volume in there:
        picture = Picture.of(volume)
        if picture.fingerprint() == made["fingerprint"]:
            return picture
    facts = {"name": node.GetName(), "volume": there[0].GetName() if there else _("no volume"), "frame": made.get("frame", "")}
    if not there:
        sentence = _("Expected the volume that {name} was made for, found that it is gone; load it and choose it under Volume")
    elif facts["frame"]:
        sentence = _("Expected {frame}, which {name} was made for, found that {volume} shows another; browse back to it and save again")
    else:
        sentence = _(
            "Expected the image that {name} was made for, found that the voxels of {volume} have changed since; "
            "load that image again, choose it under Volume and save again"
        )
    raise Problem(sentence.format(**facts))


def check_grid(node: Any, picture: Picture, *, may_resample: bool = False) -> None:
    """Refuse labels that do not lie on a volume's voxels, or reach beyond it: what is resampled or cut off is no longer what was drawn.

    Args:
        node: the segmentation.
        picture: of the volume.
        may_resample: whether another grid is what a person wanted, who chose a finer one in the Segment Editor.

    Raises:
        Problem: if it is so.
    """
    segmentation = node.GetSegmentation()
    between = _between(node, picture)
    for number in range(segmentation.GetNumberOfLayers(binary_labelmap())):
        layer = segmentation.GetLayerDataObject(number, binary_labelmap())
        matrix = vtk.vtkMatrix4x4()
        layer.GetImageToWorldMatrix(matrix)
        to_label = np.linalg.inv(between @ slicer.util.arrayFromVTKMatrix(matrix)) @ picture.affine
        nearest = np.rint(to_label)
        corners = np.array([(*corner, 1.0) for corner in product(*((0, n - 1) for n in picture.shape[::-1]))])
        is_lattice = round(abs(np.linalg.det(nearest[:3, :3]))) == 1
        if not is_lattice or np.abs(corners @ (to_label - nearest).T).max() > NEAR:
            if may_resample:
                continue
            raise Problem(
                _("Expected labels on the voxels of {volume}, found {name} on another grid; choose the volume that it was made for").format(
                    volume=picture.node.GetName(), name=node.GetName()
                )
            )
        beyond = _beyond(layer, (corners @ nearest.T)[:, :3])
        if beyond:
            raise Problem(
                _("Expected labels within {volume}, found {count} voxels of {name} beyond it; choose its own volume").format(
                    volume=picture.node.GetName(), name=node.GetName(), count=f"{beyond:,}"
                )
            )


def affine_in(node: Any, picture: Picture) -> Any:
    """4x4 from voxels (i, j, k) of a volume to a segmentation's own frame.

    Raises:
        Problem: if there is a transform between them that is not linear.
    """
    return np.linalg.inv(_between(node, picture)) @ picture.affine


def _between(node: Any, picture: Picture) -> Any:
    """4x4 from a segmentation's own frame to a volume's."""
    parents = node.GetParentTransformNode(), picture.node.GetParentTransformNode()
    if parents[0] is parents[1]:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(*parents, matrix):
        raise Problem(
            _("Expected {name} under the transform of {volume}, found it under another that bends; put both under the same one").format(
                name=node.GetName(), volume=picture.node.GetName()
            )
        )
    return slicer.util.arrayFromVTKMatrix(matrix)


def _beyond(layer: Any, ends: Any) -> int:
    """How many labelled voxels of a label map lie outside of the box that has the voxels `ends` at its corners."""
    scalars = layer.GetPointData().GetScalars()
    if scalars is None or not layer.GetNumberOfPoints():
        return 0
    array = numpy_support.vtk_to_numpy(scalars).reshape(layer.GetDimensions()[::-1])
    first = np.array(layer.GetExtent()[::2])
    low, high = np.maximum(ends.min(0) - first, 0), np.maximum(ends.max(0) - first + 1, 0)
    inside = array[tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))]
    return int(np.count_nonzero(array) - np.count_nonzero(inside))
