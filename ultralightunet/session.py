"""What a GUI, the command line or a script drives: an image and a model in, labels out. Free of any toolkit."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engines import Engine, make_engine
from .errors import InputError
from .events import Progress, finish
from .inferers import Tiling, label_image
from .io import check_values, read_image
from .models import Model, load_model
from .postprocessing import keep_largest
from .transforms import Orientation, grid_shape, normalize, resample, with_channels
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
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    model = request.model
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
    seconds["checking"] = time.perf_counter() - began
    labels = np.zeros(image.shape, np.uint8 if len(model.classes) <= 256 else np.uint16)
    job = _Job(engine, image, request, array[region], labels[region], region, seconds)
    windows = yield from (_label_volume(job) if model.spatial_dims == 3 else _label_slices(job))
    facts = {
        "model": model.id,
        "model_sha256": model.sha256,
        "engine": engine.name,
        "device": engine.device,
        "windows": windows,
        "step": request.step,
        "box": [list(r) for r in request.box] if request.box else None,
        "voxel_size_assumed": bool(model.spacing and not image.has_spacing),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }
    return Segmentation(labels, image.affine, model.classes, image.has_spacing, image.source, model.id, facts)


def segment(image: str | Path | Volume | Array, model: str | Path | Model, **options: Any) -> Segmentation:
    """Label one image: `segment("scan.nii.gz", "brain")`.

    Args:
        image: a file or folder, a `Volume`, or an array (k, j, i) or (j, i) with voxels of 1 mm.
        model: see `load_model`.
        **options: those of `Request`, e.g. `box`, `threads`.
    """
    if isinstance(image, str | Path):
        image = read_image(Path(image))
    elif not isinstance(image, Volume):
        image = Volume(np.asarray(image), has_spacing=False)
    return finish(Session().segment(image, Request(load_model(model), **options)))


def _region(image: Volume, box: Box | None) -> tuple[slice, ...]:
    if box is None:
        return tuple(slice(0, n) for n in image.shape)
    try:
        ranges = [(index(a), index(b)) for a, b in box]
    except TypeError:
        ranges = []
    if len(ranges) != len(image.shape) or not all(0 <= a < b <= n for (a, b), n in zip(ranges, image.shape, strict=True)):
        axes = "k, j, i" if image.spatial_dims == 3 else "j, i"
        raise InputError(f"expected a box of ranges along ({axes}) inside the image's {image.shape}, found {box}; draw it inside the image")
    return tuple(slice(a, b) for a, b in ranges)


@dataclass(frozen=True)
class _Job:
    """One run: `array` and `labels` are the region's grey values and the view that its labels are written through."""

    engine: Engine
    image: Volume
    request: Request
    array: Array
    labels: Array
    region: tuple[slice, ...]
    seconds: dict[str, float]

    def prepared(self, source: Array, grid: tuple[int, ...]) -> Array:
        return normalize(resample(source, grid), self.request.model.intensity, self.image.array.dtype)

    def windows(self, prepared: Array, out: Array, tiling: Tiling) -> Generator[tuple[int, int], None, None]:
        return label_image(self.engine, prepared, out, tiling, self.request.model.architecture.out_channels)

    def tiling(self, grid: tuple[int, ...]) -> Tiling:
        return Tiling.plan(grid, self.request.model.window, whole=self.request.model.whole, step=self.request.step)


def _label_volume(job: _Job) -> Generator[Progress, None, int]:
    image, model = job.image, job.request.model
    if image.spatial_dims != 3:
        raise InputError(f"expected a volume for the 3D model {model.name}, found a 2D image; choose a 2D model")
    if job.request.axis is not None or job.request.slice is not None:
        raise InputError(f"expected a box for the 3D model {model.name}, found an axis or a slice; they are for 2D models")
    began = time.perf_counter()
    orientation = Orientation.of(image.affine)
    # Views all the way: what is written into `out` lies on the image's own grid.
    out, source = orientation.apply(job.labels), orientation.apply(job.array)
    grid = grid_shape(out.shape, orientation.spacing(image.spacing), model.spacing) if model.spacing else out.shape
    prepared = job.prepared(source, grid)
    job.seconds["preparing"] = time.perf_counter() - began
    tiling = job.tiling(grid)
    yield Progress("Segmenting", 0, tiling.count)
    began = time.perf_counter()
    for done, total in job.windows(prepared, out, tiling):
        yield Progress("Segmenting", done, total)
    job.seconds["network and labels"] = time.perf_counter() - began
    began = time.perf_counter()
    keep_largest(out, model.keep_largest)
    job.seconds["finishing"] = time.perf_counter() - began
    return tiling.count


def _label_slices(job: _Job) -> Generator[Progress, None, int]:
    model = job.request.model
    planes = _planes(job)
    began = time.perf_counter()
    windows = 0
    yield Progress("Segmenting", 0, len(planes))
    for number, (source, out, spacing) in enumerate(planes):
        grid = grid_shape(out.shape, spacing, model.spacing) if model.spacing else model.size or out.shape
        for _ in job.windows(job.prepared(source, grid), out, job.tiling(grid)):
            windows += 1
            yield Progress("Segmenting", number, len(planes))
        keep_largest(out, model.keep_largest)
        yield Progress("Segmenting", number + 1, len(planes))
    job.seconds["network and labels"] = time.perf_counter() - began
    return windows


def _planes(job: _Job) -> list[tuple[Array, Array, tuple[float, ...]]]:
    """The 2D images to label: (grey values, labels to write, spacing) of each."""
    image, axis, chosen = job.image, job.request.axis, job.request.slice
    if image.spatial_dims == 2:
        return [(job.array, job.labels, image.spacing)]
    axis = int(np.argmax(image.spacing)) if axis is None else axis
    if axis not in (0, 1, 2):
        raise InputError(f"expected an axis 0 (k), 1 (j) or 2 (i), found {axis}")
    first, count = job.region[axis].start, job.labels.shape[axis]
    wanted = range(count)
    if chosen is not None:
        if chosen - first not in wanted:
            raise InputError(
                f"expected a slice from {first} to {first + count - 1} along axis {axis}, found {chosen}; choose one inside the image"
            )
        wanted = range(chosen - first, chosen - first + 1)
    spacing = tuple(s for number, s in enumerate(image.spacing) if number != axis)
    return [(np.take(job.array, n, axis), np.moveaxis(job.labels, axis, 0)[n], spacing) for n in wanted]
