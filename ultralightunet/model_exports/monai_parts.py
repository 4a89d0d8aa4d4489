"""What a bundle names besides MONAI's own components: UltraLight's resampling, its windows, their padding and mirroring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import affine_to_spacing
from monai.inferers.inferer import Inferer, SlidingWindowInferer
from monai.transforms.inverse import InvertibleTransform
from monai.transforms.transform import MapTransform
from torch import Tensor

from ..engines import mirrorings
from ..inference.inferers import Tiling
from ..inference.transforms import grid_shape, resample


class ResampleExtent(InvertibleTransform):
    """Bring an image (C, *S) to a model's voxel size, or to a number of pixels, over the same extent; see `transforms.axis_weights`.

    Args:
        spacing: voxel size in mm, in the order of the image's axes.
        size: pixels, where there is no `spacing`.
    """

    def __init__(self, *, spacing: Sequence[float] | None = None, size: Sequence[int] | None = None) -> None:
        super().__init__()
        self.spacing = None if spacing is None else tuple(spacing)
        self.size = () if size is None else tuple(size)

    def __call__(self, image: MetaTensor) -> MetaTensor:
        """(C, *S) -> (C, *grid)."""
        shape, affine = tuple(image.shape[1:]), image.affine
        grid = self.size
        if self.spacing is not None:
            grid = grid_shape(shape, tuple(float(s) for s in affine_to_spacing(affine, len(shape))), self.spacing)
        resampled = _onto(image, grid)
        # The first voxel's centre moves, since its outer border stays.
        move = torch.eye(len(affine), dtype=affine.dtype)
        for axis, (old, new) in enumerate(zip(shape, grid, strict=True)):
            move[axis, axis], move[axis, -1] = old / new, (old / new - 1) / 2
        resampled.affine = affine @ move
        self.push_transform(resampled, orig_size=shape, extra_info={"affine": affine})  # type: ignore[no-untyped-call]
        return resampled

    def inverse(self, data: MetaTensor) -> MetaTensor:
        """(C, *grid) -> (C, *S)."""
        done = self.pop_transform(data)
        image = _onto(data, tuple(done["orig_size"]))
        image.affine = done["extra_info"]["affine"]
        return image


class ResampleExtentd(MapTransform, InvertibleTransform):
    """`ResampleExtent` of images in a dictionary."""

    def __init__(self, keys: str | Sequence[str], *, spacing: Sequence[float] | None = None, size: Sequence[int] | None = None) -> None:
        super().__init__(keys)
        self.transform = ResampleExtent(spacing=spacing, size=size)

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """The dictionary with its images resampled."""
        return {**data, **{key: self.transform(data[key]) for key in self.key_iterator(dict(data))}}

    def inverse(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """The dictionary with its images on the grids that they came from."""
        return {**data, **{key: self.transform.inverse(data[key]) for key in self.key_iterator(dict(data))}}


def _onto(image: MetaTensor, shape: tuple[int, ...]) -> MetaTensor:
    channels_last = np.moveaxis(image.detach().cpu().numpy(), 0, -1)
    resampled = torch.from_numpy(resample(channels_last, shape)).to(image.device)
    return MetaTensor(resampled, meta=image.meta, applied_operations=image.applied_operations)


class WindowInferer(Inferer):
    """See `Model.window` and `Model.whole`; an image that is smaller than its window is padded by its minimum at the far ends.

    Args:
        window: voxels, multiples of 32.
        whole: millions of voxels that are seen whole.
        step: distance of the windows as a share of them.
        mirrored: axes of space, see `Model.mirrored`.
    """

    def __init__(self, window: Sequence[int], *, whole: float = 0.0, step: float = 0.5, mirrored: Sequence[int] = ()) -> None:
        super().__init__()
        self.window = tuple(window)
        self.whole = whole
        self.step = step
        self.turns = mirrorings(mirrored)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Image (N, C, *S) -> logits (N, K, *S)."""
        grid = tuple(int(n) for n in inputs.shape[2:])
        window = Tiling.plan(grid, self.window, whole=self.whole, step=self.step).window
        missing = [max(0, w - n) for n, w in zip(grid, window, strict=True)]
        if any(missing):
            ends = [amount for m in reversed(missing) for amount in (0, m)]
            # One by one: each image of a batch has its own minimum.
            inputs = torch.stack([F.pad(image, ends, value=float(image.min())) for image in inputs])
        windows = SlidingWindowInferer(window, sw_batch_size=1, overlap=1 - self.step, mode="gaussian", sigma_scale=0.125)

        def seen(batch: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            turned = [network(batch.flip(turn), *args, **kwargs).flip(turn) for turn in self.turns]
            return torch.stack(turned).mean(0)

        logits: Any = windows(inputs, seen if len(self.turns) > 1 else network, *args, **kwargs)
        for axis, n in enumerate(grid, start=2):
            logits = logits.narrow(axis, 0, n)
        whole: Tensor = logits
        return whole
