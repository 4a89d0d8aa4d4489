"""What a dataset is like, and the network that suits it: spacing, window, classes, grey values and width; each can be overridden."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..architecture import STRIDE, VARIANTS, Architecture, Norm
from ..errors import InputError
from ..events import Progress
from ..inference.transforms import Orientation, scale_limits
from ..io import check_values
from ..models import Intensity, Model
from ..volume import Volume
from .dataset import Dataset

_GRID = 4e6
"""Voxels of the median volume's grid beyond which a coarser one is taken: what a laptop labels in a few seconds."""

_WINDOW_VOXELS = {2: 512 * 512, 3: 96**3}
_LONGEST_SIDE = 352
"""Of a picture on the network's grid, as the network's authors use for polyps."""

_MOST_LOOKED_AT = 40
"""Cases that the fingerprint is taken from, evenly spread."""


@dataclass(frozen=True)
class Fingerprint:
    """Facts of a dataset that a network depends on.

    Attributes:
        spatial_dims: 2 or 3.
        channels: of the images.
        shape: median, along (S, A, R) for volumes.
        spacing: median in mm, likewise.
        has_spacing: whether the images tell their voxels' size.
        low: of the grey values of what is labelled, the 0.5th percentile.
        high: likewise the 99.5th.
        mean: of each channel of the whole images, from 0 to 1 (pictures); of what is labelled (volumes).
        std: likewise.
        is_bytes: whether all images are pictures of 8 bits.
        cases: of the whole dataset.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.events import finish
        >>> from ultralightunet.new_task import Dataset, LabelledImage, fingerprint_of
        >>> case = LabelledImage("1", (Path("sample_data/tumour_mri_1.nrrd"),), Path("sample_data/tumour_mri_1_tumour.nrrd"))
        >>> found = finish(fingerprint_of(Dataset((case,), (LabelClass(0, "background"), LabelClass(1, "tumour")), ("MR",))))
        >>> found.spatial_dims, found.channels, found.cases
        (3, 1, 1)
    """

    spatial_dims: int
    channels: int
    shape: tuple[float, ...]
    spacing: tuple[float, ...]
    has_spacing: bool
    low: float
    high: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    is_bytes: bool
    cases: int


@dataclass(frozen=True)
class Wishes:
    """What overrides the choices made from the fingerprint, and how to train. None or empty leaves it to the fingerprint.

    Attributes:
        name: of the model.
        title: one line.
        modality: e.g. "MR".
        licence: of the weights.
        variant: a named width, see `VARIANTS`.
        channels: widths of the five stages in place of a named one.
        norm: "batch" or "instance".
        spacing: mm (k, j, i) or (j, i).
        size: pixels (j, i) that pictures are resized to.
        window: voxels of a window.
        intensity: "percentile", "window" or "scale".
        init: a model whose weights to start from where they fit, a name or folder.
        minutes: of training; on going on, of this run.
        steps: of training, in place of minutes.
        batch_size: samples a step.
        learning_rate: at its peak.
        threads: of the CPU.
        device: "auto", "cpu", "cuda" or "mps".
        workers: threads that prepare samples.
        seed: of everything random.

    Example:
        >>> from ultralightunet.new_task import Wishes
        >>> Wishes(name="liver", variant="T", steps=2000).minutes  # of no account where there are steps
        20.0
    """

    name: str = ""
    title: str = ""
    modality: str = ""
    licence: str = "unknown"
    variant: str = ""
    channels: tuple[int, ...] = ()
    norm: Norm | None = None
    spacing: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    window: tuple[int, ...] = ()
    intensity: str = ""
    init: str = ""
    minutes: float = 20.0
    steps: int = 0
    batch_size: int = 0
    learning_rate: float = 2e-3
    threads: int | None = None
    device: str = "auto"
    workers: int = 1
    seed: int = 0


def fingerprint_of(dataset: Dataset) -> Generator[Progress, None, Fingerprint]:
    """Look at the images and labels of a dataset; an event after each.

    Raises:
        InputError: if an image and its labels do not fit each other, or the images are of several kinds.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.new_task import Dataset, LabelledImage, fingerprint_of
        >>> case = LabelledImage("1", (Path("sample_data/tumour_mri_1.nrrd"),), Path("sample_data/tumour_mri_1_tumour.nrrd"))
        >>> dataset = Dataset((case,), (LabelClass(0, "background"), LabelClass(1, "tumour")), channels=("MR",))
        >>> [(event.done, event.total) for event in fingerprint_of(dataset)]
        [(0, 1), (1, 1)]
    """
    chosen = [dataset.cases[n] for n in np.unique(np.linspace(0, len(dataset.cases) - 1, _MOST_LOOKED_AT).round().astype(int))]
    shapes, spacings, means, stds, inside, kinds = [], [], [], [], [], set()
    is_bytes = has_spacing = True
    for done, case in enumerate(chosen):
        yield Progress("Looking at the data", done, len(chosen))
        image = check_values(case.image())
        target = dataset.target(case, image)
        kinds.add((image.spatial_dims, image.channels))
        if len(kinds) > 1:
            raise InputError(f"expected images of one kind, found {sorted(kinds)} (dimensions, channels); keep one kind in a dataset")
        shape, spacing = _turned(image)
        shapes.append(shape)
        spacings.append(spacing)
        is_bytes &= image.array.dtype == np.uint8
        has_spacing &= image.has_spacing
        grey = image.array.reshape(-1, image.channels).astype(np.float32)
        low, high = scale_limits(image.array, Intensity("scale", 0.0, 255.0))
        means.append((grey.mean(0) - low) / max(high - low, 1e-6))
        stds.append(grey.std(0) / max(high - low, 1e-6))
        labelled = grey[(target > 0).ravel() & (target.ravel() <= len(dataset.classes))]
        inside.append(labelled[:: max(1, len(labelled) // 10_000)].ravel())
    yield Progress("Looking at the data", len(chosen), len(chosen))
    values = np.concatenate(inside)
    if not len(values):
        raise InputError("expected labels in the dataset, found background only; check that the labels are what they should be")
    dims, channels = next(iter(kinds))
    low, high = np.percentile(values, (0.5, 99.5))
    return Fingerprint(
        spatial_dims=dims,
        channels=channels,
        shape=tuple(np.median(shapes, axis=0)),
        spacing=tuple(np.median(spacings, axis=0)),
        has_spacing=has_spacing,
        low=float(low),
        high=float(max(high, low + 1e-3)),
        mean=tuple(float(v) for v in np.mean(means, axis=0)) if dims == 2 else (float(values.mean()),),
        std=tuple(float(max(v, 1e-3)) for v in np.mean(stds, axis=0)) if dims == 2 else (float(max(values.std(), 1e-3)),),
        is_bytes=is_bytes,
        cases=len(dataset.cases),
    )


def chosen_model(found: Fingerprint, dataset: Dataset, wishes: Wishes, folder: Path) -> Model:
    """Facts of the model that suits a dataset, as far as `wishes` leave them open.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.new_task import Dataset, Fingerprint, Wishes, chosen_model
        >>> dataset = Dataset((), (LabelClass(0, "background"), LabelClass(1, "liver")), channels=("CT",))
        >>> found = Fingerprint(3, 1, (60, 200, 200), (2.0, 1.0, 1.0), True, -100.0, 200.0, (60.0,), (40.0,), False, 12)
        >>> model = chosen_model(found, dataset, Wishes(), Path("liver"))
        >>> model.spacing, model.window, model.intensity.rule
        ((2.0, 1.0, 1.0), (64, 96, 128), 'window')
    """
    dims = found.spatial_dims
    spacing, size = _grid(found, wishes)
    grid = size or tuple(n * old / new for n, old, new in zip(found.shape, found.spacing, spacing or found.spacing, strict=True))
    classes = dataset.classes
    variant = wishes.variant or ("B" if dims == 2 else "S")
    if variant not in VARIANTS:
        raise InputError(f"expected a width of {', '.join(VARIANTS)}, found {variant!r}; choose one of them")
    rule = _intensity(found, dataset, wishes)
    name = wishes.name or folder.resolve().name
    # A softmax even for one class: a class that is added later then changes nothing.
    architecture = Architecture(dims, found.channels, len(classes), wishes.channels or VARIANTS[variant], wishes.norm or "batch")
    return Model(
        folder=folder,
        name=name,
        version="1.0.0",
        title=wishes.title or f"{', '.join(entry.name for entry in classes[1:])} (trained here)",
        modality=wishes.modality or dataset.channels[0],
        architecture=architecture,
        classes=classes,
        spacing=spacing,
        size=size,
        window=wishes.window or _window(grid, dims),
        intensity=rule,
        licence=wishes.licence,
        intended_use="Research use only, not a medical device. Trained on its user's own images, and for images like these.",
    )


def _turned(image: Volume) -> tuple[tuple[int, ...], tuple[float, ...]]:
    if image.spatial_dims == 2:
        return image.shape, image.spacing
    orientation = Orientation.of(image.affine)
    return tuple(image.shape[axis] for axis in orientation.axes), orientation.spacing(image.spacing)


def _grid(found: Fingerprint, wishes: Wishes) -> tuple[tuple[float, ...] | None, tuple[int, int] | None]:
    """The spacing or, for pictures, the size of the network's grid."""
    if wishes.spacing or wishes.size:
        return wishes.spacing or None, wishes.size
    if found.spatial_dims == 2:
        factor = min(1.0, _LONGEST_SIDE / max(found.shape))
        height, width = (max(STRIDE, round(n * factor / STRIDE) * STRIDE) for n in found.shape)
        return None, (height, width)
    spacing = list(found.spacing)
    extent = [n * s for n, s in zip(found.shape, found.spacing, strict=True)]
    while np.prod([e / s for e, s in zip(extent, spacing, strict=True)]) > _GRID:
        # The finest axes give way first.
        finest = min(spacing)
        spacing = [max(s, finest * 1.05) for s in spacing]
    return tuple(float(np.round(s, 3)) for s in spacing), None


def _window(grid: Sequence[float], dims: int) -> tuple[int, ...]:
    size = [max(STRIDE, -(-int(np.ceil(n)) // STRIDE) * STRIDE) for n in grid]
    while np.prod(size) > _WINDOW_VOXELS[dims]:
        size[int(np.argmax(size))] -= STRIDE
    return tuple(size)


def _intensity(found: Fingerprint, dataset: Dataset, wishes: Wishes) -> Intensity:
    rule = wishes.intensity
    if not rule:
        is_ct = any(name.strip().lower() in ("ct", "hounsfield") for name in (*dataset.channels, wishes.modality))
        rule = "window" if is_ct else "scale" if found.spatial_dims == 2 and found.is_bytes else "percentile"
    if rule == "window":
        return Intensity("window", found.low, found.high, found.mean[:1], found.std[:1])
    if rule == "scale":
        return Intensity("scale", 0.0, 255.0, found.mean, found.std)
    if rule == "percentile":
        return Intensity()
    raise InputError(f"expected a rule of percentile, window or scale for grey values, found {rule!r}; choose one of them")
