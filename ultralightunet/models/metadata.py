"""A model's facts as `configs/metadata.json`: MONAI's bundle schema, with our own facts under "ultralight"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..architecture import Architecture
from ..errors import ModelError
from .checks import check_facts
from .facts import Intensity, LabelClass, Model

SCHEMA_VERSION = 1
"""Version of the facts under "ultralight"; a folder with a higher one is refused with a word on updating."""


def parsed(folder: Path, metadata: dict[str, Any]) -> Model:
    """The model that `metadata` tell of.

    Raises:
        ModelError: if a newer version wrote them.
        LookupError, TypeError, ValueError, OverflowError: if they are damaged or contradict themselves.
    """
    facts = metadata["ultralight"]
    if facts["schema_version"] > SCHEMA_VERSION:
        raise ModelError(f"{folder} was written by a newer version of UltraLight; update UltraLight to use it")
    network = facts["architecture"]
    architecture = Architecture(
        spatial_dims=int(network["spatial_dims"]),
        in_channels=int(network["in_channels"]),
        out_channels=int(network["out_channels"]),
        channels=tuple(int(c) for c in network["channels"]),
        norm=network["norm"],
    )
    classes = tuple(
        LabelClass(int(c["index"]), str(c["name"]), tuple(int(v) for v in c["color"]), str(c.get("snomed", "")))  # type: ignore[arg-type]
        for c in facts["classes"]
    )
    intensity = {**facts["intensity"]}
    intensity.update({key: float(intensity[key]) for key in ("low", "high")})
    intensity.update({key: tuple(float(v) for v in intensity[key]) for key in ("mean", "std")})
    model = Model(
        folder=folder,
        name=str(facts["name"]),
        version=str(metadata["version"]),
        title=str(facts["title"]),
        modality=str(facts["modality"]),
        architecture=architecture,
        classes=classes,
        spacing=tuple(float(v) for v in facts["spacing"]) if facts.get("spacing") else None,
        size=(int(facts["size"][0]), int(facts["size"][1])) if facts.get("size") else None,
        window=tuple(int(v) for v in facts["window"]),
        whole=float(facts.get("whole", 0)),
        box_is_image=bool(facts.get("box_is_image", False)),
        intensity=Intensity(**intensity),
        mirrored=tuple(int(v) for v in facts.get("mirrored", ())),
        keep_largest=tuple(tuple(int(v) for v in group) for group in facts.get("keep_largest", ())),
        plausible_ml={int(index): (float(low), float(high)) for index, (low, high) in facts.get("plausible_ml", {}).items()},
        licence=str(facts["licence"]),
        intended_use=str(metadata.get("intended_use", "")),
        scores=dict(metadata.get("eval_metrics", {})),
        parent=str(facts.get("parent", "")),
        origin=_origin(facts.get("origin", {})),
        sha256=str(facts["sha256"]),
        metadata=metadata,
    )
    check_facts(model)
    return model


def _origin(found: dict[str, Any]) -> dict[str, Any]:
    for case in found.get("cases", ()):
        str(case["case"]), int(case["revision"]), str(case["image_sha256"])
    return dict(found)


def to_metadata(model: Model, sha256: str, extra: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `parsed`, with `extra` fields of MONAI's schema."""
    channels = {str(n): "channel" for n in range(model.architecture.in_channels)}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": model.version,
        "changelog": {model.version: "made by UltraLight"},
        "monai_version": "1.5.0",
        "pytorch_version": "2.8.0",
        "numpy_version": "2.0.0",
        "required_packages_version": {},
        "task": model.title,
        "description": model.title,
        "authors": "UltraLight",
        "copyright": model.licence,
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": model.modality,
                    "num_channels": model.architecture.in_channels,
                    "spatial_shape": list(model.window),
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": model.architecture.out_channels,
                    "spatial_shape": list(model.window),
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {str(c.index): c.name for c in model.classes},
                }
            },
        },
        **extra,
        "intended_use": model.intended_use,
        "eval_metrics": dict(model.scores),
        "ultralight": {
            "schema_version": SCHEMA_VERSION,
            "name": model.name,
            "title": model.title,
            "modality": model.modality,
            "parent": model.parent,
            **({"origin": dict(model.origin)} if model.origin else {}),
            "architecture": model.architecture.to_dict(),
            "classes": [{"index": c.index, "name": c.name, "color": list(c.color), "snomed": c.snomed} for c in model.classes],
            "spacing": list(model.spacing) if model.spacing else None,
            "size": list(model.size) if model.size else None,
            "window": list(model.window),
            "whole": model.whole,
            "box_is_image": model.box_is_image,
            "intensity": {
                "rule": model.intensity.rule,
                "low": model.intensity.low,
                "high": model.intensity.high,
                "mean": list(model.intensity.mean),
                "std": list(model.intensity.std),
            },
            "mirrored": list(model.mirrored),
            "keep_largest": [list(group) for group in model.keep_largest],
            **({"plausible_ml": {str(index): list(limits) for index, limits in model.plausible_ml.items()}} if model.plausible_ml else {}),
            "licence": model.licence,
            "sha256": sha256,
        },
    }
