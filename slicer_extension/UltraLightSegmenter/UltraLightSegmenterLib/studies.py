"""What the subject hierarchy knows of a volume: its patient, its study, what made it."""

from __future__ import annotations

from typing import Any

import slicer


def patient_key(volume: Any) -> str | None:
    """What identifies the patient of a DICOM volume, or None; the store keeps no more than a salted hash of it."""
    hierarchy, item = _item(volume)
    if not item:
        return None
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    patient = hierarchy.GetItemAncestorAtLevel(item, constants.GetDICOMLevelPatient())
    key = hierarchy.GetItemUID(patient, constants.GetDICOMUIDName()) if patient else ""
    return key or None


def modality(volume: Any) -> str:
    """DICOM's word for what made a volume, "MR" say; "" where it is not known."""
    hierarchy, item = _item(volume)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return (hierarchy.GetItemAttribute(item, name) or "") if item else ""


def file_beside(node: Any, volume: Any) -> None:
    """Put a node beside a volume: under the same study or folder."""
    hierarchy, item = _item(volume)
    if item:
        hierarchy.CreateItem(hierarchy.GetItemParent(item), node)


def _item(node: Any) -> tuple[Any, int]:
    """The subject hierarchy and a node's item in it, 0 if it has none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy, hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
