"""A volume, or the slices of one, through the network: which grid it sees, which windows, and where the labels go."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Engine
from ..errors import InputError
from ..events import Progress
from ..stopwatch import Stopwatch
from ..volume import Volume
from .inferers import Tiling, label_image
from .postprocessing import keep_largest
from .request import Request
from .transforms import Orientation, grid_shape, normalize, resample

Array = NDArray[Any]


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        array: grey values that the network may see.
        labels: the view that its labels are written through, on the same grid.
        region: the part of that grid that is wanted.
        limits: see `scale_limits`; of the whole image, so that every slice is treated alike.
    """

    engine: Engine
    image: Volume
    request: Request
    array: Array
    labels: Array
    region: tuple[slice, ...]
    limits: tuple[float, float]
    watch: Stopwatch

    def grid(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[int, ...]:
        """The network's grid for a volume or slice."""
        model = self.request.model
        if not model.spacing:
            return model.size or shape
        grid = grid_shape(shape, spacing, model.spacing)
        extent = max(n * size for n, size in zip(shape, spacing, strict=True))
        if not _SMALLEST_EXTENT < extent < _LARGEST_EXTENT or np.prod(grid, dtype=float) > _LARGEST_GRID:
            raise InputError(
                f"expected an image of a body part, found {extent:g} mm at voxels of {' x '.join(f'{s:g}' for s in spacing)} mm; "
                "correct the voxel size in its header"
            )
        return grid

    def run(self, source: Array, out: Array, region: tuple[slice, ...], grid: tuple[int, ...]) -> tuple[Tiling, Iterator[tuple[int, int]]]:
        """Prepare `source`; the windows, and their work."""
        model = self.request.model
        wanted = tuple((floor(part.start * g / n), ceil(part.stop * g / n)) for part, g, n in zip(region, grid, out.shape, strict=True))
        tiling = Tiling.plan(grid, model.window, whole=model.whole, step=self.request.step, region=wanted)
        self.engine.prepare((1, model.architecture.in_channels, *tiling.window))
        if model.keep_largest:
            # A tenth of a second of a first segmentation: spent now, while the network is being compiled, it delays nothing.
            import scipy.ndimage  # noqa: F401
        with self.watch("preparing"):
            prepared = normalize(resample(source, grid), model.intensity, self.limits)
        return tiling, label_image(self.engine, prepared, out, tiling, model.architecture.out_channels, self.watch)

    def finish(self, out: Array) -> Iterator[Progress]:
        """Take stray islands away."""
        groups = self.request.model.keep_largest
        for number, group in enumerate(groups):
            yield Progress("Finishing", number, len(groups))
            with self.watch("finishing"):
                keep_largest(out, group)


_SMALLEST_EXTENT, _LARGEST_EXTENT = 2.0, 5000.0
"""Millimetres along an image's longest side, beyond which its header is wrong."""

_LARGEST_GRID = 5e8
"""Voxels of the network's grid: two gigabytes for one channel."""


def label_volume(job: Job) -> Generator[Progress, None, tuple[int, tuple[int, ...]]]:
    """Returns how many windows the network saw, and of which size."""
    image, model = job.image, job.request.model
    if image.spatial_dims != 3:
        advice = "give the folder with the whole series" if image.source.format == "dicom" else "choose a 2D model"
        raise InputError(f"expected a volume for the 3D model {model.name}, found a 2D image; {advice}")
    if job.request.axis is not None or job.request.slice is not None:
        raise InputError(f"expected a box for the 3D model {model.name}, found an axis or a slice; they are for 2D models")
    orientation = Orientation.of(image.affine)
    # Views all the way: what is written into `out` lies on the image's own grid.
    out, source = orientation.apply(job.labels), orientation.apply(job.array)
    region = orientation.ranges(job.region, job.labels.shape)
    tiling, work = job.run(source, out, region, job.grid(out.shape, orientation.spacing(image.spacing)))
    yield Progress("Segmenting", 0, tiling.count)
    for done, total in work:
        yield Progress("Segmenting", done, total)
    yield from job.finish(out[region])
    return tiling.count, tiling.window


def label_slices(job: Job) -> Generator[Progress, None, tuple[int, tuple[int, ...]]]:
    """As `label_volume`."""
    planes = _planes(job)
    windows = 0
    yield Progress("Segmenting", 0, len(planes))
    for number, plane in enumerate(planes):
        tiling, work = job.run(plane.source, plane.out, plane.region, job.grid(plane.out.shape, plane.spacing))
        windows += tiling.count
        for _ in work:
            yield Progress("Segmenting", number, len(planes))
        for _ in job.finish(plane.out[plane.region]):
            yield Progress("Segmenting", number, len(planes))
        yield Progress("Segmenting", number + 1, len(planes))
    return windows, tiling.window


@dataclass(frozen=True)
class _Plane:
    """A 2D image to label: views of grey values and labels, the wanted part, and the pixel size in mm."""

    source: Array
    out: Array
    region: tuple[slice, ...]
    spacing: tuple[float, ...]


def _planes(job: Job) -> list[_Plane]:
    image, chosen = job.image, job.request.slice
    if image.spatial_dims == 2:
        return [_Plane(job.array, job.labels, job.region, image.spacing)]
    orientation = Orientation.of(image.affine)
    if not image.has_spacing:
        # A stack of pictures: as it is stored.
        orientation = Orientation((0, 1, 2), (True, True, True))
    # Rows run down to foot or back, columns to the patient's left, as slices are looked at and as pictures of them are stored.
    upright = orientation.reversed()
    source, out = upright.apply(job.array), upright.apply(job.labels)
    region = upright.ranges(job.region, job.labels.shape)
    spacing = upright.spacing(image.spacing)
    axis = int(np.argmax(spacing)) if job.request.axis is None else _position(upright, job.request.axis)
    count = out.shape[axis]
    wanted: Iterable[int] = range(count)[region[axis]]
    if chosen is not None:
        stored = job.region[upright.axes[axis]]
        if not stored.start <= chosen < stored.stop:
            raise InputError(
                f"expected a slice from {stored.start} to {stored.stop - 1} along axis {upright.axes[axis]}, found {chosen}; "
                "choose one inside the image"
            )
        wanted = [count - 1 - chosen if upright.flips[axis] else chosen]
    others = [a for a in range(3) if a != axis]
    return [
        _Plane(
            np.moveaxis(source, axis, 0)[n],
            np.moveaxis(out, axis, 0)[n],
            tuple(region[a] for a in others),
            tuple(spacing[a] for a in others),
        )
        for n in wanted
    ]


def _position(orientation: Orientation, axis: int) -> int:
    if axis not in (0, 1, 2):
        raise InputError(f"expected an axis 0 (k), 1 (j) or 2 (i), found {axis}")
    return orientation.axes.index(axis)
