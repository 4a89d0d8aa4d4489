"""A stored case, back in the scene: its image, its labels, and what the model had said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from .pictures import Picture
from .problem import Problem
from .process import Facts
from .segmentations import PREDICTION, make_segmentation

_TOO_WIDE = ("int64", "uint64")
"""Types that a volume node cannot have."""


def opened(case: str, facts: Facts, files: Mapping[str, Path]) -> Any:
    """Make the nodes of a case.

    Args:
        case: CASE/REVISION.
        facts: of the process: "affine", "channels", "model", "classes", "has_prediction", "has_spacing", "is_flat".
        files: that it wrote: "image", "labels", "prediction".

    Returns:
        The segmentation node; what it is of is chosen by its reference.

    Raises:
        Problem: if a volume node cannot hold the image.
    """
    image = np.load(files["image"])
    if image.dtype.name in _TOO_WIDE:
        raise Problem(
            _("Expected an image that Slicer can hold, found {kind} in {case}; open it in napari").format(kind=image.dtype.name, case=case)
        )
    kind = "vtkMRMLScalarVolumeNode" if facts["channels"] == 1 else "vtkMRMLVectorVolumeNode"
    volume = slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(case.partition("/")[0]))
    slicer.util.updateVolumeFromArray(volume, image)
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.array(facts["affine"])))
    volume.CreateDefaultDisplayNodes()
    picture = Picture.of(volume)
    shown = {"fingerprint": picture.fingerprint(), "frame": "", "has_spacing": facts["has_spacing"], "is_flat": facts["is_flat"]}
    answer = {"model": facts["model"], "classes": facts["classes"], "facts": {}, "image": shown}
    node = make_segmentation(
        np.load(files["labels"]),
        picture,
        answer,
        name=_("{case} - corrected").format(case=volume.GetName()),
        prediction=np.load(files["prediction"]) if facts["has_prediction"] else None,
    )
    if not facts["has_prediction"]:
        # Nobody drew over a model's labels.
        slicer.mrmlScene.RemoveNode(node.GetNodeReference(PREDICTION))
    return node
