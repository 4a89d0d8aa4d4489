"""What hosts are told of models and their classes, JSON-serialisable."""

from __future__ import annotations

from typing import Any

from ..models import LabelClass, Model


def model_facts(model: Model) -> dict[str, Any]:
    """What a host shows of a model."""
    return {
        "id": model.id,
        "name": model.name,
        "version": model.version,
        "title": model.title,
        "modality": model.modality,
        "spatial_dims": model.spatial_dims,
        "channels": model.architecture.in_channels,
        "classes": [class_facts(entry) for entry in model.classes],
        "licence": model.licence,
        "intended_use": model.intended_use,
        "parent": model.parent,
        "folder": str(model.folder),
    }


def class_facts(entry: LabelClass) -> dict[str, Any]:
    """A class, with the terminology that Slicer and DICOM know it by."""
    from ..exports.terminology import terminology

    return {
        "index": entry.index,
        "name": entry.name,
        "color": list(entry.color),
        "snomed": entry.snomed,
        "terminology": terminology(entry) if entry.index else "",
    }
