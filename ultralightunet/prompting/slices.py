"""A picture or a volume as a stack of slices, in the same pose whatever the order in which its voxels are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..inference.transforms import Orientation
from ..volume import Volume

Array = NDArray[Any]


@dataclass(frozen=True)
class Slices:
    """How slices (n, j, i) lie in an image's array.

    Attributes:
        orientation: of a volume's array in the patient, upright: to foot, back and left; None for a picture.
        axis: of the turned array, across which the slices lie.
        shape: of the array, without channels.
        spacing: mm along (n, j, i); 1 where it is not known.
    """

    orientation: Orientation | None
    axis: int
    shape: tuple[int, ...]
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, image: Volume, axis: int | None) -> Slices:
        """Slices of `image` across `axis` of its array; None: across its largest voxels, the first such axis.

        Raises:
            InputError: for an axis that the image has not.
        """
        known = image.spacing if image.has_spacing else (1.0,) * image.spatial_dims
        if image.spatial_dims == 2:
            if axis is not None:
                raise InputError(f"expected no axis for a picture, found {axis}; leave it out")
            return cls(None, 0, image.shape, (1.0, *known))  # type: ignore[arg-type]
        if axis not in (None, 0, 1, 2):
            raise InputError(f"expected an axis 0 (k), 1 (j) or 2 (i), found {axis}")
        # A stack of pictures lies as it is stored.
        upright = Orientation.of(image.affine).reversed() if image.has_spacing else Orientation((0, 1, 2), (False, False, False))
        turned = upright.spacing(known)
        across = int(np.argmax(turned)) if axis is None else upright.axes.index(axis)
        return cls(upright, across, image.shape, (turned[across], *(s for a, s in enumerate(turned) if a != across)))  # type: ignore[arg-type]

    def view(self, array: Array) -> Array:
        """A view of an array (*S) or (*S, C) as (n, j, i) or (n, j, i, C)."""
        return array[None] if self.orientation is None else np.moveaxis(self.orientation.apply(array), self.axis, 0)

    def places(self, voxels: NDArray[np.intp]) -> NDArray[np.intp]:
        """Indices (N, 2 or 3) of the array as (N, 3) in (n, j, i)."""
        if self.orientation is None:
            flat: NDArray[np.intp] = np.insert(voxels, 0, 0, axis=1)
            return flat
        turned = [
            self.shape[a] - 1 - voxels[:, a] if flip else voxels[:, a]
            for a, flip in zip(self.orientation.axes, self.orientation.flips, strict=True)
        ]
        turned.insert(0, turned.pop(self.axis))
        found: NDArray[np.intp] = np.stack(turned, axis=1)
        return found

    def ranges(self, part: tuple[slice, ...]) -> tuple[slice, ...]:
        """A box of the array as slices along (n, j, i)."""
        if self.orientation is None:
            return (slice(0, 1), *part)
        turned = list(self.orientation.ranges(part, self.shape))
        turned.insert(0, turned.pop(self.axis))
        return tuple(turned)
