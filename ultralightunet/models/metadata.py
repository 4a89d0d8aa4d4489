"""A model's facts as `configs/metadata.json`: MONAI's bundle schema, with our own facts under "ultralight"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..architecture import Architecture
from ..errors import ModelError
from .checks import check_facts
from .facts import Intensity, LabelClass, Model
from .values import line, numbers, table, text, whole, wholes

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
        spatial_dims=whole(network["spatial_dims"]),
        in_channels=whole(network["in_channels"]),
        out_channels=whole(network["out_channels"]),
        channels=wholes(network["channels"]),
        norm=network["norm"],
    )
    intensity = {**facts["intensity"]}
    intensity.update({key: float(intensity[key]) for key in ("low", "high")})
    intensity.update({key: numbers(intensity[key]) for key in ("mean", "std")})
    model = Model(
        folder=folder,
        name=line(facts["name"]),
        version=line(metadata["version"]),
        title=line(facts["title"]),
        modality=line(facts["modality"]),
        architecture=architecture,
        classes=tuple(class_of(entry) for entry in facts["classes"]),
        spacing=numbers(facts["spacing"]) if facts.get("spacing") else None,
        size=(whole(facts["size"][0]), whole(facts["size"][1])) if facts.get("size") else None,
        window=wholes(facts["window"]),
        whole=float(facts.get("whole", 0)),
        box_is_image=bool(facts.get("box_is_image", False)),
        intensity=Intensity(**intensity),
        mirrored=wholes(facts.get("mirrored", ())),
        keep_largest=tuple(wholes(group) for group in facts.get("keep_largest", ())),
        plausible_ml={int(index): _range(ends) for index, ends in table(facts.get("plausible_ml", {})).items()},
        licence=line(facts["licence"]),
        intended_use=text(metadata.get("intended_use", "")),
        scores=table(metadata.get("eval_metrics", {})),
        parent=line(facts.get("parent", "")),
        origin=_origin(table(facts.get("origin", {}))),
        sha256=line(facts["sha256"]),
        metadata=metadata,
    )
    check_facts(model)
    return model


def class_of(entry: Mapping[str, Any]) -> LabelClass:
    """A class as the metadata tell of it.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, OverflowError: for anything else.
    """
    red, green, blue = wholes(entry["color"])
    return LabelClass(whole(entry["index"]), line(entry["name"]), (red, green, blue), line(entry.get("snomed", "")))


def _origin(found: dict[str, Any]) -> dict[str, Any]:
    """With what others count on: the cases' names and hashes, and words."""
    words: dict[str, Any] = {key: line(found[key]) for key in ("created", "decision") if key in found}
    cases = [
        {
            **table(case),
            "case": line(case["case"]),
            "revision": whole(case["revision"]),
            "use": line(case.get("use", "train")),
            "image_sha256": line(case["image_sha256"]),
            "labels_sha256": line(case.get("labels_sha256", "")),
        }
        for case in found.get("cases", ())
    ]
    return {**found, **words, **({"cases": cases} if "cases" in found else {})}


def _range(ends: Any) -> tuple[float, float]:
    low, high = numbers(ends)
    return low, high


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
