"""What a user has chosen; it is kept in the scene and saved with it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

VIEWS = ["Red", "Yellow", "Green"]
DEVICES = ["auto", "cpu", "cuda", "mps"]


class Scope(Enum):
    """What of the volume is segmented."""

    VOLUME = "volume"
    SLICE = "slice"
    ROI = "roi"

    def label(self) -> str:
        """What the combo box shows."""
        return {Scope.VOLUME: _("Whole volume"), Scope.SLICE: _("Current slice"), Scope.ROI: _("Region (ROI)")}[self]


class Checked(Enum):
    """What of a correction a person has looked at; the rest never counts as truth."""

    ALL = "all"
    SLICE = "slice"
    ROI = "roi"

    def label(self) -> str:
        """What the combo box shows."""
        texts = {Checked.ALL: _("Everything"), Checked.SLICE: _("The slice in the view"), Checked.ROI: _("The region (ROI)")}
        return texts[self]


@parameterNodeWrapper
class UltraLightSegmenterParameterNode:
    """The module's parameters.

    Attributes:
        volume: to be segmented.
        model: NAME@VERSION, or "".
        scope: how much of the volume.
        view: the slice view that is meant by a slice; with a 2D model also the direction in which a volume is cut.
        roi: the region that is meant.
        segmentation: that is being corrected.
        sliceOnly: whether what is pointed at is looked for in its own slice only.
        device: where to compute.
        step: distance of neighbouring windows as a share of a window.
        fillMissing: whether missing voxels are filled in.
        fillValue: with what.
        checked: what of the correction was looked at.
        isRight: a person says that there is nothing to correct.
        minutes: that a retraining may take.
    """

    volume: vtkMRMLScalarVolumeNode
    model: str = ""
    scope: Scope = Scope.VOLUME
    view: Annotated[str, Choice(VIEWS)] = "Red"
    roi: vtkMRMLMarkupsROINode
    segmentation: vtkMRMLSegmentationNode
    sliceOnly: bool = False
    device: Annotated[str, Choice(DEVICES)] = "auto"
    step: Annotated[float, WithinRange(0.1, 1.0)] = 0.5
    fillMissing: bool = False
    fillValue: float = 0.0
    checked: Checked = Checked.ALL
    isRight: bool = False
    minutes: Annotated[float, WithinRange(0.1, 1440.0)] = 2.5
