"""A model's facts as `configs/metadata.json`: MONAI's bundle schema, with our own facts under "ultralight"."""

from __future__ import annotations

import unicodedata
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
        spatial_dims=_whole(network["spatial_dims"]),
        in_channels=_whole(network["in_channels"]),
        out_channels=_whole(network["out_channels"]),
        channels=_wholes(network["channels"]),
        norm=network["norm"],
    )
    intensity = {**facts["intensity"]}
    intensity.update({key: float(intensity[key]) for key in ("low", "high")})
    intensity.update({key: _numbers(intensity[key]) for key in ("mean", "std")})
    model = Model(
        folder=folder,
        name=_line(facts["name"]),
        version=_line(metadata["version"]),
        title=_line(facts["title"]),
        modality=_line(facts["modality"]),
        architecture=architecture,
        classes=tuple(_class(entry) for entry in facts["classes"]),
        spacing=_numbers(facts["spacing"]) if facts.get("spacing") else None,
        size=(_whole(facts["size"][0]), _whole(facts["size"][1])) if facts.get("size") else None,
        window=_wholes(facts["window"]),
        whole=float(facts.get("whole", 0)),
        box_is_image=bool(facts.get("box_is_image", False)),
        intensity=Intensity(**intensity),
        mirrored=_wholes(facts.get("mirrored", ())),
        keep_largest=tuple(_wholes(group) for group in facts.get("keep_largest", ())),
        plausible_ml={int(index): _range(ends) for index, ends in _table(facts.get("plausible_ml", {})).items()},
        licence=_line(facts["licence"]),
        intended_use=_text(metadata.get("intended_use", "")),
        scores=_table(metadata.get("eval_metrics", {})),
        parent=_line(facts.get("parent", "")),
        origin=_origin(_table(facts.get("origin", {}))),
        sha256=_line(facts["sha256"]),
        metadata=metadata,
    )
    check_facts(model)
    return model


def _class(entry: dict[str, Any]) -> LabelClass:
    red, green, blue = _wholes(entry["color"])
    return LabelClass(_whole(entry["index"]), _line(entry["name"]), (red, green, blue), _line(entry.get("snomed", "")))


def _origin(found: dict[str, Any]) -> dict[str, Any]:
    """With what others count on: the cases' names and hashes, and words."""
    words: dict[str, Any] = {key: _line(found[key]) for key in ("created", "decision") if key in found}
    cases = [
        {
            **_table(case),
            "case": _line(case["case"]),
            "revision": _whole(case["revision"]),
            "use": _line(case.get("use", "train")),
            "image_sha256": _line(case["image_sha256"]),
            "labels_sha256": _line(case.get("labels_sha256", "")),
        }
        for case in found.get("cases", ())
    ]
    return {**found, **words, **({"cases": cases} if "cases" in found else {})}


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no table of names and values")
    return dict(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _line(value: Any) -> str:
    """Text that a terminal, a table and a header can show: without line breaks and other control characters."""
    if any(unicodedata.category(letter) == "Cc" for letter in _text(value)):
        raise ValueError(f"{value!r} is not one line of text")
    return str(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
        raise TypeError(f"{value!r} is no whole number")
    return int(value)


def _wholes(values: Any) -> tuple[int, ...]:
    return tuple(_whole(value) for value in values)


def _range(ends: Any) -> tuple[float, float]:
    low, high = _numbers(ends)
    return low, high


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


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
