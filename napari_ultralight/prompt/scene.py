"""What is pointed at in the viewer: the image as the core sees it, and voxels of what is shown as voxels of the image. Free of Qt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultralightunet.errors import InputError
from ultralightunet.volume import Volume

from ..layers.conversion import Picture


@dataclass(frozen=True, eq=False)
class Scene:
    """One image, or one time point of it.

    Attributes:
        layer: the image layer.
        picture: what is shown of it.
        volume: the same for the core; of an array that is computed when it is read (dask) no more is read than what is looked at.
    """

    layer: Any
    picture: Picture
    volume: Volume

    @classmethod
    def of(cls, layer: Any, viewer: Any) -> Scene:
        """What `viewer` shows of an image layer.

        Raises:
            InputError: if there is none.
        """
        if layer is None:
            raise InputError(
                "expected an image to point at, found no image layer; open one, or a sample with File > Open Sample > UltraLight"
            )
        picture = Picture.of(layer, viewer.dims.point, viewer.dims.units)
        return cls(layer, picture, picture.lazy_volume())

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells one scene from another: the layer, its array and the time point."""
        return id(self.layer), id(self.picture.data), self.picture.index

    def axis_in_view(self, viewer: Any) -> int | None:
        """The image's own axis across which the slice in view lies; None for a picture.

        Raises:
            InputError: while the viewer shows a volume in 3D.
        """
        grid, dims = self.picture.grid, viewer.dims
        if len(grid.shape) == 2:
            return None
        hidden = [axis - (dims.ndim - 3) for axis in dims.not_displayed if axis >= dims.ndim - 3]
        if dims.ndisplay != 2 or len(hidden) != 1:
            raise InputError("expected a view of one slice to point at, found another; switch napari to 2D (Ctrl+Y)")
        return int(grid.axes[hidden[0]])

    def voxels(self, shown: Any) -> NDArray[np.float64]:
        """Voxels (N, axes of the image) from indices (N, axes of the layer) of what is shown."""
        grid = self.picture.grid
        places = np.asarray(shown, np.float64)[:, -len(grid.shape) :]
        own = np.empty_like(places)
        for number, (axis, flip) in enumerate(zip(grid.axes, grid.flipped, strict=True)):
            own[:, axis] = grid.shape[axis] - 1 - places[:, number] if flip else places[:, number]
        return own

    def shown(self, voxels: NDArray[Any]) -> NDArray[np.float64]:
        """The inverse of `voxels`, with indices of the axes before the image's own, which a helper layer has with length one."""
        grid = self.picture.grid
        places = np.asarray(voxels, np.float64)
        turned = np.stack(
            [
                grid.shape[axis] - 1 - places[:, axis] if flip else places[:, axis]
                for axis, flip in zip(grid.axes, grid.flipped, strict=True)
            ],
            axis=1,
        )
        leading = np.zeros((len(turned), len(self.picture.index)))
        return np.hstack((leading, turned))

    def view(self, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """A mask on the image's grid as the data of a Labels layer: a view, so the preview costs no memory."""
        shown = self.picture.grid.to_shown(mask.view(np.uint8))
        return shown[(np.newaxis,) * len(self.picture.index)]
