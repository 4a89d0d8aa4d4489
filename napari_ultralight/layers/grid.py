"""How an image's own grid is turned to be shown upright, and back. Free of Qt and napari."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultralightunet.inference.transforms import Orientation
from ultralightunet.volume import Affine, Source, Volume, checked_affine, spacing_of

KEY = "ultralight"
"""Where this plugin keeps its facts in `layer.metadata`."""

LayerData = tuple[Any, dict[str, Any], str]
"""What napari makes a layer from: array, arguments, type."""

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxel grid of a file, and the turned one that its layer has.

    napari draws rows downwards and columns to the right. Shown axes therefore run to inferior, posterior and left, which puts
    heads upright with the patient's right on the screen's left in all three views, as radiologists look at them.

    Attributes:
        shape: voxels of the file's grid, (k, j, i) or (j, i).
        affine: of the file's grid, voxel (i, j, k) to RAS+ mm.
        axes: for each shown axis the file's axis that runs along it.
        flipped: for each shown axis whether it runs the other way.
        has_spacing: as `Volume.has_spacing`.
        source: as `Volume.source`.
    """

    shape: tuple[int, ...]
    affine: Affine
    axes: tuple[int, ...]
    flipped: tuple[bool, ...]
    has_spacing: bool = True
    source: Source = field(default_factory=Source)

    @classmethod
    def upright(cls, volume: Volume) -> Grid:
        """The grid of `volume`, turned to be shown upright. A 2D image keeps its rows and columns and is flipped at most."""
        if volume.spatial_dims == 3:
            orientation = Orientation.of(volume.affine)
            axes: tuple[int, ...] = orientation.axes
            flipped = tuple(not flip for flip in orientation.flips)
        else:
            axes = (0, 1)
            columns = (volume.affine[:3, 1], volume.affine[:3, 0])
            flipped = tuple(bool(column[np.abs(column).argmax()] > 0) for column in columns)
        return cls(volume.shape, volume.affine, axes, flipped, volume.has_spacing, volume.source)

    @classmethod
    def as_is(cls, shape: tuple[int, ...], affine: Affine, *, has_spacing: bool) -> Grid:
        """A grid that is shown the way it is stored, for layers that others made.

        Raises:
            InputError: if the affine is singular.
        """
        return cls(shape, checked_affine(affine), tuple(range(len(shape))), (False,) * len(shape), has_spacing)

    @property
    def shown_shape(self) -> tuple[int, ...]:
        """Voxels along the shown axes."""
        return tuple(self.shape[axis] for axis in self.axes)

    @property
    def shown_spacing(self) -> tuple[float, ...]:
        """Voxel size in mm along the shown axes."""
        spacing = spacing_of(self.affine, len(self.shape))
        return tuple(spacing[axis] for axis in self.axes)

    @property
    def shown_origin(self) -> tuple[float, ...]:
        """Where the first shown voxel lies along the shown axes, in mm; an oblique image is turned about its centre."""
        dims = len(self.shape)
        centre = np.array([(n - 1) / 2 for n in self.shape[::-1]] + [0.0] * (3 - dims) + [1.0])
        patient = (self.affine @ centre)[:3]
        along = self._patient_axes()
        return tuple(
            float(-patient[axis] - size * (n - 1) / 2) for axis, size, n in zip(along, self.shown_spacing, self.shown_shape, strict=True)
        )

    def _patient_axes(self) -> tuple[int, ...]:
        """For each shown axis the patient's axis (0 R, 1 A, 2 S) that it runs against."""
        if len(self.shape) == 3:
            return (2, 1, 0)
        return tuple(int(np.abs(self.affine[:3, column]).argmax()) for column in (1, 0))

    def to_shown(self, array: NDArray[Any], *, leading: int = 0) -> NDArray[Any]:
        """A view of `array` on the file's grid, turned; axes before (`leading`) and behind the grid's stay."""
        dims = len(self.shape)
        order = (*range(leading), *(leading + axis for axis in self.axes), *range(leading + dims, array.ndim))
        return array.transpose(order)[self._flips(leading)]

    def to_native(self, array: NDArray[Any], *, leading: int = 0) -> NDArray[Any]:
        """The inverse of `to_shown`."""
        dims = len(self.shape)
        back = np.argsort(self.axes)
        order = (*range(leading), *(leading + int(axis) for axis in back), *range(leading + dims, array.ndim))
        return array[self._flips(leading)].transpose(order)

    def native_box(self, box: Ranges) -> Ranges:
        """Half-open ranges along the shown axes as ranges along the file's."""
        ranges: list[tuple[int, int]] = [(0, n) for n in self.shape]
        for axis, flip, (start, stop) in zip(self.axes, self.flipped, box, strict=True):
            n = self.shape[axis]
            ranges[axis] = (n - stop, n - start) if flip else (start, stop)
        return tuple(ranges)

    def native_slice(self, shown_axis: int, index: int) -> tuple[int, int]:
        """The file's axis and its index for a slice of a shown axis."""
        axis = self.axes[shown_axis]
        return axis, self.shape[axis] - 1 - index if self.flipped[shown_axis] else index

    def to_metadata(self) -> dict[str, Any]:
        """Plain facts for `layer.metadata`: they survive copying and pickling of the layer."""
        return {
            "shape": list(self.shape),
            "affine": self.affine.copy(),
            "axes": list(self.axes),
            "flipped": list(self.flipped),
            "has_spacing": self.has_spacing,
            "source": {
                "path": str(self.source.path) if self.source.path else None,
                "format": self.source.format,
                "header": dict(self.source.header),
            },
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], shown_shape: tuple[int, ...]) -> Grid | None:
        """The grid that a layer's metadata tell of, or None if they tell of none that such a layer still has."""
        facts = metadata.get(KEY)
        if not isinstance(facts, Mapping) or "axes" not in facts:
            return None
        grid = cls.whole(facts)
        # A layer that was cropped or turned in napari keeps its metadata, but they are no longer about it: see `derived`.
        return grid if grid.shown_shape == shown_shape[-len(grid.shape) :] else None

    @classmethod
    def whole(cls, facts: Mapping[str, Any]) -> Grid:
        """The grid that facts in a layer's metadata tell of, whatever the layer has become."""
        source = facts["source"]
        return cls(
            tuple(facts["shape"]),
            checked_affine(facts["affine"]),
            tuple(facts["axes"]),
            tuple(facts["flipped"]),
            facts["has_spacing"],
            Source(Path(source["path"]) if source["path"] else None, source["format"], source["header"]),
        )

    def part(self, shape: tuple[int, ...], to_whole: NDArray[np.float64]) -> Grid:
        """The grid of a part of what is shown, or of a thinned out or turned one.

        Args:
            shape: of the part.
            to_whole: its voxels' indices, with a one behind them, to those of this grid as it is shown.

        Raises:
            InputError: if the part is flat.
        """
        dims = len(self.shape)
        stored = np.zeros((dims + 1, dims + 1))
        stored[dims, dims] = 1
        for shown, (axis, flip) in enumerate(zip(self.axes, self.flipped, strict=True)):
            stored[axis, shown] = -1 if flip else 1
            stored[axis, dims] = self.shape[axis] - 1 if flip else 0
        moved = stored @ to_whole
        # Indices are listed (k, j, i) here, and (i, j, k) where an affine takes them.
        step = np.eye(4)
        step[:dims, :dims] = moved[:dims, :dims][::-1, ::-1]
        step[:dims, 3] = moved[:dims, dims][::-1]
        return Grid.as_is(shape, self.affine @ step, has_spacing=self.has_spacing)

    def _flips(self, leading: int) -> tuple[slice, ...]:
        return (slice(None),) * leading + tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)
