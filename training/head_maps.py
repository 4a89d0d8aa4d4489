"""Label maps of whole heads, as the head models learn from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

EXTRACEREBRAL = 500
"""Label values from here on are tissues outside the brain."""


@dataclass(frozen=True)
class HeadMaps:
    """Label maps whose values are replaced by tissue numbers, 0 being outside the head.

    Attributes:
        maps: uint8 arrays (k, j, i), RAS, one per head.
        spacing: voxel size in mm, isotropic.
        tissue_class: class of each tissue number, (number of tissues,).
        tissue_value: label value of each tissue number.
        class_names: name of each class, background first.
    """

    maps: tuple[Tensor, ...]
    spacing: float
    tissue_class: Tensor
    tissue_value: Tensor
    class_names: tuple[str, ...]


def load_head_maps(folder: Path, heads: range) -> HeadMaps:
    """Read `head_NN.nii.gz` for each number in `heads`, and `labels.json` beside them. Left and right share a tissue number."""
    table = json.loads((folder / "labels.json").read_text())
    merged: dict[tuple[int, str], int] = {}
    lookup = np.zeros(1024, np.uint8)
    values, classes = [], []
    for entry in sorted(table["labels"], key=lambda e: e["value"]):
        side_free = entry["name"].removeprefix("left ").removeprefix("right ")
        key = (entry["class"], side_free if entry["value"] < EXTRACEREBRAL else str(entry["value"]))
        if key not in merged:
            merged[key] = len(values)
            values.append(entry["value"])
            classes.append(entry["class"])
        lookup[entry["value"]] = merged[key]
    maps, spacing = [], 1.0
    for number in heads:
        image = nib.load(folder / f"head_{number:02d}.nii.gz")
        spacing = float(image.header.get_zooms()[0])
        maps.append(torch.from_numpy(lookup[np.asarray(image.dataobj)].transpose(2, 1, 0).copy()))
    return HeadMaps(tuple(maps), spacing, torch.tensor(classes), torch.tensor(values), tuple(table["classes"]))
