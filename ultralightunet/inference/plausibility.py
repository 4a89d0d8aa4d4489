"""Whether an image is of the kind that a model was made for, and whether what it found can be true. Free of any toolkit.

A network labels whatever it is given, and says "done". Before a run the modality, the extent and the colours of the image are held
against the model's; after it the volumes against those that such structures have. Each doubt is one sentence; none of them stops
anybody, because only a person who sees the image knows.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models import Model
from ..volume import Segmentation, Volume
from .request import Box

_KINDS = {
    "MR": ("MR", "MRI"),
    "CT": ("CT",),
    "US": ("US", "IVUS", "ULTRASOUND", "SONOGRAPHY"),
    "PET": ("PET", "PT"),
    "X-ray": ("CR", "DX", "MG", "RF", "XA", "RADIOGRAPHY", "MAMMOGRAPHY"),
    "endoscopy": ("ES", "ENDOSCOPY", "COLONOSCOPY"),
}
"""What a model's card or DICOM's Modality (0008,0060) may say, by our own word for it."""

_PICTURES = ("US", "endoscopy")
"""Made of pictures, whose pixels have no size."""

_IN_COLOUR = ("endoscopy",)

_AIR = (-1100, -850)
"""Hounsfield units. No other kind of image has many voxels there and none far below but those outside of a scanner's field."""

_SAMPLES = 200_000
"""Voxels that are looked at to tell a CT, so that a host can ask on the thread of its window."""

_ROOM = 4
"""How many times larger than the largest that a model sees whole an image may be; a model that learned from crops gets no room."""


def doubts_before(image: Volume, model: Model, *, box: Box | None = None) -> tuple[str, ...]:
    """Why the image may not be what the model was made for, one sentence each; quick.

    Args:
        image: as it was read; its values are only sampled.
        model: the model.
        box: the part that is wanted, see `Request.box`.
    """
    if image.spatial_dims < model.spatial_dims:
        # It cannot be segmented at all, and one sentence says so.
        return ()
    doubts = (_other_kind(image, model), _other_colours(image, model), _other_extent(image, model, box))
    return tuple(doubt for doubt in doubts if doubt)


def doubts_after(segmentation: Segmentation, model: Model, *, box: Box | None = None) -> tuple[str, ...]:
    """Why the labels may not be true, one sentence each: volumes that no such structure has.

    Args:
        segmentation: what the model made.
        model: the model.
        box: the part that was wanted; what is cut off by it may be as small as it likes.
    """
    volumes = segmentation.volumes_ml() if model.plausible_ml else None
    if volumes is None:
        return ()
    names = {c.index: c.name for c in model.classes}
    found = []
    for index, (low, high) in model.plausible_ml.items():
        volume = volumes.get(index, 0.0)
        if volume > high or (box is None and volume < low):
            found.append(
                f"expected {low:g} to {high:g} ml of {names[index]}, found {volume:,.1f} ml; check whether the image is what "
                f"{model.name} was made for ({_made_for(model)})"
            )
    return tuple(found)


def kind_of(image: Volume) -> str:
    """What made the image ("MR", "CT", "US", ...): by its DICOM header, or by its values if they are Hounsfield units; else ""."""
    told = _kind(str(image.source.header.get("modality", "")))
    if told or image.channels > 1 or image.spatial_dims != 3:
        return told
    return "CT" if _is_hounsfield(image.array) else ""


def is_of_other_kind(modality: str, model: Model) -> bool:
    """Whether what a header says made an image, e.g. "CT", is known and not what the model is for."""
    found, wanted = _kind(modality), _kind(model.modality)
    return bool(found and wanted and found != wanted)


def _other_kind(image: Volume, model: Model) -> str:
    found, wanted = kind_of(image), _kind(model.modality)
    if found and wanted and found != wanted:
        return f"expected {_made_for(model)} for {model.name}, found {found}; its labels will mean nothing, choose another model or image"
    if not found and wanted in _PICTURES and model.spacing is None and image.spatial_dims == 3 and image.has_spacing:
        return (
            f"expected {_made_for(model)} for {model.name}, found a volume of {_in_mm(image)}, as scanners of another kind make them; "
            "check that it is what the model was made for"
        )
    return ""


def _other_colours(image: Volume, model: Model) -> str:
    kind = _kind(model.modality)
    if kind in _IN_COLOUR and image.channels == 1:
        return f"expected a picture in colour for {model.name}, found one in grey; its labels will mean little"
    if kind in ("MR", "CT", "PET") and image.channels == 3 and model.architecture.in_channels == 1:
        return f"expected grey values of {_made_for(model)} for {model.name}, found a picture in colour; its brightness is used instead"
    return ""


def _other_extent(image: Volume, model: Model, box: Box | None) -> str:
    if model.spacing is None or not image.has_spacing or image.spatial_dims != model.spatial_dims:
        return ""
    shape = image.shape if box is None else tuple(stop - start for start, stop in box)
    extent = [n * size for n, size in zip(shape, image.spacing, strict=True)]
    voxels = float(np.prod([length / size for length, size in zip(extent, model.spacing, strict=True)]))
    largest = model.whole * 1e6 * (1 if model.box_is_image else _ROOM)
    found = " x ".join(f"{length:.0f}" for length in extent)
    if largest and voxels > largest:
        advice = "draw a box of the size that its card tells" if model.box_is_image else "draw a box around that part"
        return f"expected an image of the part of the body that {model.name} was made for, found one of {found} mm; {advice}"
    window = [n * size / 2 for n, size in zip(model.window, model.spacing, strict=True)]
    if box is None and not model.box_is_image and all(length < half for length, half in zip(extent, window, strict=True)):
        return f"expected the whole body part that {model.name} was made for, found only {found} mm; choose an image that shows all of it"
    return ""


def _kind(words: str) -> str:
    """Our word for what a card or a header says, "" if it says nothing that we know or more than one thing."""
    found = {kind for kind, names in _KINDS.items() if set(re.split(r"[^A-Z]+", words.upper())) & set(names)}
    return found.pop() if len(found) == 1 else ""


def _made_for(model: Model) -> str:
    return f"{model.modality} images" if model.modality else "other images"


def _in_mm(image: Volume) -> str:
    return " x ".join(f"{n * size:.0f}" for n, size in zip(image.shape, image.spacing, strict=True)) + " mm"


def _is_hounsfield(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "u":
        return False
    step = max(1, round((array.size / _SAMPLES) ** (1 / array.ndim)))
    sample = np.asarray(array[(slice(None, None, step),) * array.ndim])
    sample = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if not sample.size or sample.max() < 100:
        return False
    # Scanners fill what lies outside their field with one value far below air.
    inside = sample[sample > -1500]
    air = (inside > _AIR[0]) & (inside < _AIR[1])
    return bool(inside.size and inside.min() >= _AIR[0] and air.mean() > 0.02)
