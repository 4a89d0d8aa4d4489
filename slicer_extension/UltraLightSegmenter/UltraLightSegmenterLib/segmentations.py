"""Labels as a segmentation node, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _
from vtk.util import numpy_support

from .matching import Classes, indices, snomed
from .pictures import Picture, matrix_of
from .problem import Problem
from .studies import file_beside

FACTS = "UltraLight.Facts"
"""Attribute of a segmentation node: model, classes and what else the core told, as JSON. It is saved with the scene."""

PREDICTION = "UltraLight.Prediction"
"""Reference of a segmentation node to the label map that keeps what the model said, while the segmentation is being corrected."""

VOLUME = "UltraLight.Volume"
"""Reference of a segmentation node to the volume that it was made for."""

OBJECT_COLOR = (230, 159, 0)
"""Of a segment for objects that were pointed at."""


def make_segmentation(labels: Any, picture: Picture, answer: Mapping[str, Any], *, name: str = "", prediction: Any = None) -> Any:
    """A new segmentation node in the volume's geometry and under its parent transform; nothing else in the scene is changed.

    Args:
        labels: (k, j, i), of the volume's shape.
        picture: what was segmented.
        answer: of the process: "model", "classes", "facts"; "image" where it is known what `reference_of` wants to know.
        name: of the node; by default it is made of those of the volume and the model.
        prediction: what the model had said, if that is something else than `labels`.

    Returns:
        The node. Every class is a segment, also one without voxels, so that it can be painted.
    """
    volume = picture.node
    frame = answer.get("image", {}).get("frame", "")
    shown = f"{volume.GetName()} {frame}" if frame else volume.GetName()
    node = empty_segmentation(picture, name or f"{shown} - {answer['model'].partition('@')[0]}")
    _fill(node, labels, picture, answer["classes"])
    node.SetAttribute(FACTS, json.dumps({key: answer[key] for key in ("model", "classes", "facts", "image") if key in answer}))
    _keep_prediction(node, labels if prediction is None else prediction, picture)
    return node


def empty_segmentation(picture: Picture, name: str) -> Any:
    """A new segmentation node without segments, for a volume: in its geometry, under its parent transform and in its study."""
    scene, volume = slicer.mrmlScene, picture.node
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.CreateDefaultDisplayNodes()
    node.GetSegmentation().SetSourceRepresentationName(binary_labelmap())
    node.SetNodeReferenceID(VOLUME, volume.GetID())
    file_beside(node, volume)
    return node


def _keep_prediction(node: Any, labels: Any, picture: Picture) -> None:
    """Keep what the model said beside a segmentation, in a label map that is saved with the scene and not listed among the data."""
    kept = slicer.mrmlScene.CreateNodeByClass("vtkMRMLLabelMapVolumeNode")
    kept.UnRegister(None)
    kept.SetName(f"{node.GetName()} (prediction)")
    # Before it enters the scene. Hidden from editors it would not be saved with the scene either.
    kept.SetAttribute(slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName(), "1")
    kept = slicer.mrmlScene.AddNode(kept)
    slicer.util.updateVolumeFromArray(kept, labels)
    kept.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(picture.affine))
    kept.SetAndObserveTransformNodeID(picture.node.GetTransformNodeID())
    node.SetNodeReferenceID(PREDICTION, kept.GetID())


def forget_prediction(node: Any) -> None:
    """A node is about to go: what the model had said goes with the last segmentation that it belongs to."""
    kept = node.GetNodeReference(PREDICTION) if node.IsA("vtkMRMLSegmentationNode") else None
    if kept is None:
        return
    others = (other for other in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if other is not node)
    if not any(other.GetNodeReference(PREDICTION) is kept for other in others):
        slicer.mrmlScene.RemoveNode(kept)


def _fill(node: Any, labels: Any, picture: Picture, classes: Classes) -> None:
    # All segments share one label map, which is how Slicer keeps segments that do not overlap.
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*picture.shape[::-1])
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(picture.affine))
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(labels.ravel(), deep=True))
    segmentation = node.GetSegmentation()
    # The volume itself may show another frame of its sequence by now.
    converter = slicer.vtkSegmentationConverter
    segmentation.SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(image))
    for entry in classes:
        if not entry["index"]:
            continue
        segment = slicer.vtkSegment()
        segment.SetName(entry["name"])
        segment.SetNameAutoGenerated(False)
        segment.SetColor(*(value / 255 for value in entry["color"]))
        segment.SetColorAutoGenerated(False)
        segment.SetLabelValue(entry["index"])
        if entry.get("terminology"):
            segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), entry["terminology"])
        segment.AddRepresentation(binary_labelmap(), image)
        segmentation.AddSegment(segment, f"Segment_{entry['index']}")


def binary_labelmap() -> str:
    """What Slicer calls a segment's voxels."""
    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def facts_of(node: Any) -> dict[str, Any]:
    """What is known of a segmentation that this module made, {} of any other."""
    text = node.GetAttribute(FACTS)
    return json.loads(text) if text else {}


def volume_of(node: Any) -> Any:
    """The volume that a segmentation was made or drawn over, or None."""
    geometry = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    return node.GetNodeReference(VOLUME) or node.GetNodeReference(geometry)


def prediction_of(node: Any, picture: Picture) -> Any:
    """What the model said, on the volume's grid, or None where that is not kept."""
    kept = node.GetNodeReference(PREDICTION)
    if kept is None or kept.GetImageData() is None or not np.allclose(matrix_of(kept), picture.affine, atol=1e-3):
        return None
    array = slicer.util.arrayFromVolume(kept)
    return array if array.shape == picture.shape else None


def classes_of(node: Any, known: Classes = ()) -> list[dict[str, Any]]:
    """The classes of a segmentation, background first: those it was made with, further ones of `known`, and those that a person added.

    Which class a segment is, `matching` says.
    """
    made = facts_of(node).get("classes", ())
    classes = [dict(entry) for entry in (*made, *known[len(made) :])] or [
        {"index": 0, "name": "background", "color": [0, 0, 0], "snomed": ""}
    ]
    for segment_id, index in indices(node, classes, facts_of(node).get("classes", ())).items():
        if index is None:
            segment = node.GetSegmentation().GetSegment(segment_id)
            color = [round(value * 255) for value in segment.GetColor()]
            classes.append({"index": len(classes), "name": segment.GetName(), "color": color, "snomed": snomed(segment)})
    return classes


def labels_of(node: Any, picture: Picture, classes: Classes) -> Any:
    """A segmentation as one array on the volume's grid; where segments overlap, the last one counts.

    Raises:
        Problem: if the segmentation has no segments.
    """
    segmentation = node.GetSegmentation()
    if not segmentation.GetSegmentIDs():
        raise Problem(
            _("Expected segments, found none in {name}; add one in the Segment Editor below, or click Segment").format(name=node.GetName())
        )
    if not segmentation.ContainsRepresentation(binary_labelmap()):
        # Surfaces or contours: they get voxels where the volume has them.
        node.SetReferenceImageGeometryParameterFromVolumeNode(picture.node)
        if not segmentation.CreateRepresentation(binary_labelmap()):
            raise Problem(
                _("Expected segments that can become voxels, found others in {name}; draw them in the Segment Editor").format(
                    name=node.GetName()
                )
            )
    labels = np.zeros(picture.shape, np.uint8 if len(classes) <= 256 else np.uint16)
    for segment_id, index in indices(node, classes, facts_of(node).get("classes", ())).items():
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, picture.node)
        if found is not None:
            labels[found != 0] = index
    return labels
