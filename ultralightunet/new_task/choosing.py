"""The network that suits a dataset: its grid, window, rule for grey values and width; each can be overridden."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..architecture import STRIDE, VARIANTS, Architecture
from ..errors import InputError
from ..models import Intensity, Model
from .dataset import Dataset
from .fingerprint import Fingerprint
from .wishes import Wishes

_WINDOW_VOXELS = {2: 512 * 512, 3: 96**3}

SIDES = {2: (96, 128, 192, 256, 352), 3: (48, 64, 96, 128, 160)}
"""From coarse to fine, by the network's dimensions: the longest side of a picture on its grid, the last as the network's authors use for
polyps; the side of a cube with as many voxels as a volume's, the last being what a laptop labels in a few seconds."""

_FEW = 16
"""With fewer cases each picture is normalised by its own statistics: those of a few would not be those of all to come. Not so volumes: a
small one is seen in use with more margin around it than in training, which changes its own statistics."""

_THICK = 5.0
"""A volume whose slices are more than so many times as thick as its pixels are wide is labelled slice by slice."""


def grades(found: Fingerprint, dataset: Dataset, wishes: Wishes, folder: Path) -> tuple[Model, ...]:
    """The model that suits a dataset on ever finer grids, see `SIDES`; the last one is that of `chosen_model`.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.new_task import Dataset, Fingerprint, Wishes, grades
        >>> dataset = Dataset((), (LabelClass(0, "background"), LabelClass(1, "lung")), channels=("CR",))
        >>> found = Fingerprint(2, 1, (250, 320), (1.0, 1.0), False, 0.0, 255.0, (0.5,), (0.2,), True, 5)
        >>> [model.size for model in grades(found, dataset, Wishes(), Path("lung"))]
        [(64, 96), (96, 128), (160, 192), (192, 256), (256, 320)]
    """
    sides = SIDES[_dims(found)]
    models = [chosen_model(found, dataset, wishes, folder, side=side) for side in sides]
    # Where the images are small, or the grid was asked for, several are the same.
    return tuple(model for model, finer in zip(models, [*models[1:], None], strict=True) if finer is None or _of(model) != _of(finer))


def chosen_model(found: Fingerprint, dataset: Dataset, wishes: Wishes, folder: Path, *, side: int | None = None) -> Model:
    """Facts of the model that suits a dataset, as far as `wishes` leave them open; on a grid no finer than `side`, see `SIDES`.

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
    dims = _dims(found)
    shape, own = _seen(found)
    spacing, size = _grid(shape, own, found.spatial_dims, wishes, side or SIDES[dims][-1])
    grid = size or tuple(n * old / new for n, old, new in zip(shape, own, spacing or own, strict=True))
    classes = dataset.classes
    variant = wishes.variant or ("B" if dims == 2 else "S")
    if variant not in VARIANTS:
        raise InputError(f"expected a width of {', '.join(VARIANTS)}, found {variant!r}; choose one of them")
    rule = _intensity(found, dataset, wishes)
    norm = wishes.norm or ("instance" if found.cases < _FEW and dims == 2 else "batch")
    name = wishes.name or folder.resolve().name
    # A softmax even for one class: a class that is added later then changes nothing.
    architecture = Architecture(dims, found.channels, len(classes), wishes.channels or VARIANTS[variant], norm)
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


def _dims(found: Fingerprint) -> int:
    """Of the network: the network halves each axis five times, which a few thick slices do not allow."""
    if found.spatial_dims == 2:
        return 2
    *others, thickest = sorted(found.spacing)
    return 2 if found.has_spacing and thickest > _THICK * max(others) else 3


def _seen(found: Fingerprint) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shape and spacing of what the network sees: the images, or their slices."""
    if _dims(found) == found.spatial_dims:
        return found.shape, found.spacing
    across = int(np.argmax(found.spacing))
    return tuple(np.delete(found.shape, across).tolist()), tuple(np.delete(found.spacing, across).tolist())


def _of(model: Model) -> tuple[Any, ...]:
    return model.size, model.spacing, model.window


def _grid(
    shape: tuple[float, ...], own: tuple[float, ...], image_dims: int, wishes: Wishes, side: int
) -> tuple[tuple[float, ...] | None, tuple[int, int] | None]:
    """The spacing or, for pictures, the size of the network's grid."""
    if wishes.spacing or wishes.size:
        return wishes.spacing or None, wishes.size
    if image_dims == 2:
        factor = min(1.0, side / max(shape))
        height, width = (max(STRIDE, round(n * factor / STRIDE) * STRIDE) for n in shape)
        return None, (height, width)
    spacing, most = list(own), side ** len(shape)
    extent = [n * s for n, s in zip(shape, own, strict=True)]
    while np.prod([e / s for e, s in zip(extent, spacing, strict=True)]) > most:
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
