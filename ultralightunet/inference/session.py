"""What a GUI, the command line or a script drives: an image and a model in, labels out. Free of any toolkit."""

from __future__ import annotations

from collections.abc import Callable, Generator
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Engine, Mirrored, make_engine
from ..errors import InputError
from ..events import Progress, finish
from ..io import check_values, read_image
from ..models import Model, load_model
from ..stopwatch import Stopwatch
from ..volume import Segmentation, Volume
from .labelling import Job, label_slices, label_volume
from .plausibility import doubts_after, doubts_before
from .request import Box, Request
from .transforms import scale_limits, with_channels

Array = NDArray[Any]

__all__ = ["Box", "Request", "Session", "label_with", "segment"]


class Session:
    """Keeps the engine of the model last used warm, so that a second click does not pay for loading it.

    Args:
        wrap: is put around each engine, to look at what its network says; see `Confidence`.

    Example:
        >>> import numpy as np
        >>> import ultralightunet as ulu
        >>> session, picture = ulu.Session(), ulu.Volume(np.indices((64, 64)).sum(0).astype(np.uint8))
        >>> work = session.segment(picture, ulu.Request(ulu.load_model("breast-lesion")))
        >>> next(work).stage
        'Preparing'
        >>> from ultralightunet.events import finish
        >>> finish(work).labels.shape
        (64, 64)
    """

    def __init__(self, *, wrap: Callable[[Engine], Engine] | None = None) -> None:
        self._wrap = wrap
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
        return (yield from label_with(self.warm(request), image, request))

    def warm(self, request: Request) -> Engine:
        """The engine for a request, made now if it is not at hand: for a host that wants to know before the first image that it can be.

        Raises:
            InputError: if the engine or the device is not to be had here.
            ModelError: if the model cannot be used.
        """
        key = (request.model.sha256, request.engine, request.device, request.threads)
        if self._engine is None or self._engine[0] != key:
            engine = make_engine(request.model, engine=request.engine, device=request.device, threads=request.threads)
            self._engine = (key, self._wrap(engine) if self._wrap else engine)
        return self._engine[1]


def label_with(engine: Engine, image: Volume, request: Request) -> Generator[Progress, None, Segmentation]:
    """Label `image` with an engine that is at hand already, a network in training say; otherwise as `Session.segment`.

    Example:
        >>> import numpy as np
        >>> import ultralightunet as ulu
        >>> from ultralightunet.engines import make_engine
        >>> from ultralightunet.events import finish
        >>> from ultralightunet.inference.session import label_with
        >>> request = ulu.Request(ulu.load_model("breast-lesion"))
        >>> picture = ulu.Volume(np.indices((64, 64)).sum(0).astype(np.uint8))
        >>> finish(label_with(make_engine(request.model), picture, request)).facts["engine"]
        'openvino'
    """
    watch = Stopwatch()
    model = request.model
    engine = Mirrored(engine, model.mirrored) if model.mirrored else engine
    with watch("checking"):
        image = check_values(image, nan_fill=request.nan_fill)
        doubts = doubts_before(image, model, box=request.box)
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
        job = Job(engine, image, request, array[region], labels[region], whole, limits, watch)
    else:
        job = Job(engine, image, request, array, labels, region, limits, watch)
    windows, window = yield from (label_volume(job) if model.spatial_dims == 3 else label_slices(job))
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
        "axis": request.axis,
        "slice": request.slice,
        "voxel_size_assumed": bool(model.spacing and not image.has_spacing),
        "notes": list(image.notes),
        "seconds": {name: round(value, 4) for name, value in watch.seconds.items()},
    }
    made = Segmentation(labels, image.affine, model.classes, image.has_spacing, image.source, model.id, facts)
    facts["doubts"] = [*doubts, *doubts_after(made, model, box=request.box)]
    return made


def segment(image: str | Path | Volume | Array, model: str | Path | Model, **options: Any) -> Segmentation:
    """Label one image: `segment("scan.nii.gz", "brain")`.

    Args:
        image: a file or folder, a `Volume`, or an array with voxels of 1 mm: (k, j, i), (j, i), or (j, i, 3) in colour
            for a 2D model.
        model: see `load_model`.
        **options: those of `Request`, e.g. `box`, `threads`.

    Example:
        >>> import ultralightunet as ulu
        >>> found = ulu.segment("sample_data/colin27_hippocampus_left.nii.gz", "hippocampus")
        >>> found.labels.shape, found.labels.dtype
        ((36, 52, 36), dtype('uint8'))
        >>> [entry.name for entry in found.classes[1:] if found.volumes_ml()[entry.index] > 0.5]
        ['anterior hippocampus', 'posterior hippocampus']
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
