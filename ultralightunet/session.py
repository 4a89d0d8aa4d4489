"""What a GUI, the command line or a script drives: an image and a model in, labels out. Free of any toolkit."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, floor
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engines import Engine, Mirrored, make_engine
from .errors import InputError
from .events import Progress, finish
from .inferers import Tiling, label_image
from .io import check_values, read_image
from .models import Model, load_model
from .postprocessing import keep_largest
from .stopwatch import Stopwatch
from .transforms import Orientation, grid_shape, normalize, resample, scale_limits, with_channels
from .volume import Segmentation, Volume

Array = NDArray[Any]
Box = tuple[tuple[int, int], ...]


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
    """Keeps the engine of the model last used warm, so that a second click does not pay for loading it."""

    def __init__(self) -> None:
        self._engine: tuple[tuple[Any, ...], Engine] | None = None

    def segment(self, image: Volume, request: Request) -> Generator[Progress, None, Segmentation]:
        """Label `image`; yields after each window. Closing the generator cancels within one window.

        Returns:
            Labels on the image's own grid, 0 outside `Request.box`.

        Raises:
            InputError: if the image cannot be segmented so.
            ModelError: if the model cannot be used.
        """
        yield Progress("Preparing", 0, 1)
        return (yield from label_with(self._warm_engine(request), image, request))

    def _warm_engine(self, request: Request) -> Engine:
        key = (request.model.sha256, request.engine, request.device, request.threads)
        if self._engine is None or self._engine[0] != key:
            self._engine = (key, make_engine(request.model, engine=request.engine, device=request.device, threads=request.threads))
        return self._engine[1]


def label_with(engine: Engine, image: Volume, request: Request) -> Generator[Progress, None, Segmentation]:
    """Label `image` with an engine that is at hand already, a network in training say; otherwise as `Session.segment`."""
    watch = Stopwatch()
    model = request.model
    engine = Mirrored(engine, model.mirrored) if model.mirrored else engine
    with watch("checking"):
        image = check_values(image, nan_fill=request.nan_fill)
    array = with_channels(image.array, image.channels, model.architecture.in_channels)
    if array is None:
        raise InputError(
            f"expected an image with {model.architecture.in_channels} channel(s) for {model.name}, found {image.channels}; "
            "choose another model or convert the image"
        )
    region = _region(image, request.box)
    if not 0 < request.step <= 1:
        raise InputError(f"expected a step above 0 and at most 1, found {request.step}")
    labels = np.zeros(image.shape, np.uint8 if len(model.classes) <= 256 else np.uint16)
    limits = scale_limits(image.array, model.intensity) if model.intensity.rule == "scale" else (0.0, 1.0)
    if model.box_is_image:
        whole = tuple(slice(0, n.stop - n.start) for n in region)
        job = _Job(engine, image, request, array[region], labels[region], whole, limits, watch)
    else:
        job = _Job(engine, image, request, array, labels, region, limits, watch)
    windows, window = yield from (_label_volume(job) if model.spatial_dims == 3 else _label_slices(job))
    if request.box is not None:
        # The network looked beyond the box; nothing is labelled there.
        boxed = np.zeros_like(labels)
        boxed[region] = labels[region]
        labels = boxed
    facts = {
        "model": model.id,
        "model_sha256": model.sha256,
        "engine": engine.name,
        "device": engine.device,
        "windows": windows,
        "window": list(window),
        "step": request.step,
        "box": [list(r) for r in request.box] if request.box else None,
        "voxel_size_assumed": bool(model.spacing and not image.has_spacing),
        "seconds": {name: round(value, 4) for name, value in watch.seconds.items()},
    }
    return Segmentation(labels, image.affine, model.classes, image.has_spacing, image.source, model.id, facts)


def segment(image: str | Path | Volume | Array, model: str | Path | Model, **options: Any) -> Segmentation:
    """Label one image: `segment("scan.nii.gz", "brain")`.

    Args:
        image: a file or folder, a `Volume`, or an array with voxels of 1 mm: (k, j, i), (j, i), or (j, i, 3) in colour
            for a 2D model.
        model: see `load_model`.
        **options: those of `Request`, e.g. `box`, `threads`.
    """
    if isinstance(image, str | Path):
        image = read_image(Path(image))
    found = load_model(model)
    if not isinstance(image, Volume):
        array = np.asarray(image)
        # (H, W, 3) is a volume for a 3D model only.
        colour = found.spatial_dims == 2 and array.ndim == 3 and array.shape[-1] in (3, 4)
        image = Volume(array[..., :3], channels=3, has_spacing=False) if colour else Volume(array, has_spacing=False)
    return finish(Session().segment(image, Request(found, **options)))


def _region(image: Volume, box: Box | None) -> tuple[slice, ...]:
    if box is None:
        return tuple(slice(0, n) for n in image.shape)
    try:
        ranges = [(index(a), index(b)) for a, b in box]
    except (TypeError, ValueError):
        ranges = []
    if len(ranges) != len(image.shape) or not all(0 <= a < b <= n for (a, b), n in zip(ranges, image.shape, strict=True)):
        axes = "k, j, i" if image.spatial_dims == 3 else "j, i"
        raise InputError(f"expected a box of ranges along ({axes}) inside the image's {image.shape}, found {box}; draw it inside the image")
    return tuple(slice(a, b) for a, b in ranges)


@dataclass(frozen=True)
class _Job:
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


def _label_volume(job: _Job) -> Generator[Progress, None, tuple[int, tuple[int, ...]]]:
    """Returns how many windows the network saw, and of which size."""
    image, model = job.image, job.request.model
    if image.spatial_dims != 3:
        raise InputError(f"expected a volume for the 3D model {model.name}, found a 2D image; choose a 2D model")
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


def _label_slices(job: _Job) -> Generator[Progress, None, tuple[int, tuple[int, ...]]]:
    """As `_label_volume`."""
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


def _planes(job: _Job) -> list[_Plane]:
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
