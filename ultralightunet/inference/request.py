"""What a host asks for."""

from __future__ import annotations

from dataclasses import dataclass

from ..models import Model

Box = tuple[tuple[int, int], ...]
"""Half-open ranges of voxels, one for each axis of an image."""


@dataclass(frozen=True)
class Request:
    """What is to be segmented, and how.

    Attributes:
        model: the model.
        box: half-open voxel ranges along the axes of `Volume.shape`, (k, j, i) or (j, i): only that region is read and labelled.
        axis: with a 2D model on a volume: the array axis (0 k, 1 j, 2 i) across which slices are taken; None: the axis with
            the coarsest spacing.
        slice: with a 2D model on a volume: only this slice of `axis`; None: every slice.
        engine: "auto", "openvino" or "torch".
        device: "auto", "cpu", "cuda" or "mps".
        threads: CPU threads, None for all.
        step: distance of the sliding windows, as a share of the window, above 0 and at most 1.
        nan_fill: replaces NaN and infinite voxels, which are refused otherwise.

    Example:
        >>> import ultralightunet as ulu
        >>> request = ulu.Request(ulu.load_model("polyp"), threads=1)
        >>> request.engine, request.step
        ('auto', 0.5)
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
