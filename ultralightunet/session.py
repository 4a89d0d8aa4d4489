"""What a GUI, the command line or a script drives: an image and a model in, labels out. Free of any toolkit.

CONTRACT (implementation in progress)
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from .events import Progress
from .models import Model
from .volume import Segmentation, Volume

Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Request:
    """What is to be segmented, and how.

    Attributes:
        model: the model.
        box: half-open voxel ranges along the axes of `Volume.shape`, (k, j, i) or (j, i): only that region is read and labelled.
        axis: with a 2D model on a volume: the array axis (0 k, 1 j, 2 i) across which slices are taken; None: the axis with
            the coarsest spacing.
        slice: with `axis`: only this slice; None: every slice.
        engine: "auto", "openvino" or "torch".
        device: "auto", "cpu", "cuda" or "mps".
        threads: CPU threads, None for all.
        step: of the sliding window, as a share of the window.
        nan_fill: replaces NaN and infinite voxels, which are refused otherwise.
    """

    model: Model
    box: Box | None = None
    axis: int | None = None
    slice: int | None = None
    engine: str = "auto"
    device: str = "auto"
    threads: int | None = None
    step: float = 0.5
    nan_fill: float | None = None


class Session:
    """Keeps a model's engine warm between clicks."""

    def segment(self, image: Volume, request: Request) -> Generator[Progress, None, Segmentation]:
        """Label `image`; yields after each window. Closing the generator cancels within one window.

        Raises:
            InputError: if the image cannot be segmented so.
            ModelError: if the model cannot be used.
        """
        raise NotImplementedError


def segment(image: str | Path | Volume, model: str | Path | Model, **options: object) -> Segmentation:
    """Label one image: `segment("scan.nii.gz", "brain")`; options are those of `Request`."""
    raise NotImplementedError
