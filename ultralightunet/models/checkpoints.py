"""Takes over a checkpoint of the authors' 2D network as a model folder; loads nothing but tensors."""

from __future__ import annotations

import colorsys
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..errors import ModelError
from . import Intensity, LabelClass, Model, write_model

_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What PyTorch's reader raises for files that are not what they should be."""

_LARGEST = 2**31
"""Bytes of a checkpoint; the authors' largest network takes a few million, with its optimiser some more."""

_MULTIPLE = 8
"""How many times its own size a checkpoint may take: names can share a tensor, but hardly more of them do."""

_TELLING = ("encoder.0.expand.0.weight", "head.weight", *(f"encoder.{n}.project.0.weight" for n in range(5)))
"""The weights whose shapes tell the architecture."""

_WHOLE = "give the whole state_dict of one of the authors' networks"


def import_checkpoint(
    file: Path,
    folder: Path,
    *,
    name: str,
    classes: Sequence[str] = (),
    size: tuple[int, int] = (352, 352),
    modality: str = "unknown",
    title: str = "",
    licence: str = "unknown",
    version: str = "1.0.0",
) -> Model:
    """Write a model folder from the authors' weights; widths and channels are read off the weights.

    Args:
        file: a safetensors file, or a PyTorch file that holds a state_dict (or a dictionary with one under "state_dict",
            "model_state_dict" or "model").
        folder: the new model folder.
        name: of the model.
        classes: names of the foreground classes; "class 1", ... where left out.
        size: pixels (j, i) that images are resized to; the authors use 352x352 for polyps and 256x256 otherwise.
        modality: e.g. "endoscopy".
        title: what the model segments, one line.
        licence: of the weights.
        version: of the model.

    Raises:
        ModelError: if the file holds code, is damaged, or is not of the authors' network.
    """
    from ..networks import convert_official_state_dict

    try:
        converted = convert_official_state_dict(_state_dict(file))
    except ValueError as error:
        raise ModelError(f"{file}: {error}") from error
    weights = {key: value.detach().float().cpu().numpy() for key, value in converted.items() if not key.endswith("num_batches_tracked")}
    architecture = _architecture(file, weights)
    count = max(1, architecture.out_channels - 1)
    if classes and len(classes) != count:
        raise ModelError(f"expected {count} class name(s) for this checkpoint, found {len(classes)}: {', '.join(classes)}")
    names = list(classes) or [f"class {n}" for n in range(1, count + 1)]
    model = Model(
        folder=folder,
        name=name,
        version=version,
        title=title or f"{', '.join(names)} (imported checkpoint)",
        modality=modality,
        architecture=architecture,
        classes=(LabelClass(0, "background", (0, 0, 0)), *(LabelClass(n, text, distinct_color(n)) for n, text in enumerate(names, 1))),
        size=size,
        window=tuple(-(-side // 32) * 32 for side in size),
        # The authors scale to 0..1 and subtract the mean and divide by the deviation of ImageNet's colours.
        intensity=Intensity("scale", 0.0, 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        if architecture.in_channels == 3
        else Intensity("scale", 0.0, 255.0, (0.5,), (0.5,)),
        licence=licence,
        intended_use="Research use only; imported weights whose quality has not been measured here.",
    )
    return write_model(folder, model, weights, licence_text=f"Licence of these weights: {licence}\n")


def distinct_color(number: int) -> tuple[int, int, int]:
    """Red, green, blue of the label `number`: neighbours differ, and a number has the same colour everywhere."""
    hue = (number * 0.61803398875) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def _state_dict(file: Path) -> Mapping[str, Any]:
    import safetensors
    import safetensors.torch
    import torch

    if not file.is_file():
        raise ModelError(f"expected a checkpoint file, found none at {file}")
    try:
        size = file.stat().st_size
        if size > _LARGEST:
            raise ModelError(f"expected a checkpoint of a network of a few megabytes, found {size} bytes in {file}; {_WHOLE}")
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        _check_claims(file, size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, *_DAMAGE) as error:
        raise ModelError(
            f"expected a safetensors file or a PyTorch file with nothing but tensors, found something else in {file}; "
            "files with code in them are never run: save the state_dict alone with torch.save and try again"
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(isinstance(k, str) for k in content):
        raise ModelError(f"expected a state_dict (names and tensors) in {file}, found {type(content).__name__}; save model.state_dict()")
    for key, value in content.items():
        plain = isinstance(value, torch.Tensor) and value.layout == torch.strided
        if not plain or value.is_complex() or value.is_meta or value.is_quantized:
            raise ModelError(f"expected a plain tensor of real numbers for {key!r} in {file}, found another thing; save model.state_dict()")
    claimed = sum(value.numel() * value.element_size() for value in content.values())
    if claimed > _MULTIPLE * size:
        raise ModelError(f"expected tensors that {file} ({size} bytes) holds, found some of {claimed} bytes; save model.state_dict()")
    return content


def _check_claims(file: Path, size: int) -> None:
    """Whether a PyTorch file would unpack to more than it is, or is damaged, before a byte of it is unpacked.

    Raises:
        ValueError: if so.
    """
    if not zipfile.is_zipfile(file):
        pickled = file.read_bytes()
    else:
        with zipfile.ZipFile(file) as archive:
            # PyTorch stores without packing, and does not compare the checksums.
            if sum(entry.file_size for entry in archive.infolist()) > size:
                raise ValueError("it would unpack to more than its size")
            damaged = archive.testzip()
            if damaged:
                raise ValueError(f"{damaged} in it is damaged")
            pickled = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".pkl"))
    # The one thing among those that PyTorch takes for harmless that makes gigabytes of a number.
    if b"bytearray" in pickled:
        raise ValueError("it holds more than tensors")


def _architecture(file: Path, weights: Mapping[str, np.ndarray[Any, Any]]) -> Architecture:
    try:
        first, head, *projections = (weights[name] for name in _TELLING)
    except KeyError as error:
        raise ModelError(f"expected all five encoder stages and the head (out4) in {file}, found no {error}; {_WHOLE}") from error
    if any(kernel.ndim != 4 or 0 in kernel.shape for kernel in (first, head, *projections)):
        raise ModelError(f"expected the kernels of a 2D network in {file}, found others; {_WHOLE}")
    architecture = Architecture(2, int(first.shape[1]), int(head.shape[0]), tuple(int(p.shape[0]) for p in projections), "batch")
    expected = architecture.parameter_shapes()
    found = {name: values.shape for name, values in weights.items()}
    if expected != found:
        wrong = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        raise ModelError(
            f"expected in {file} the authors' network with widths {list(architecture.channels)}, found (by our names) {wrong} with shape "
            f"{found.get(wrong, 'absent')} in place of {expected.get(wrong, 'absent')}; {_WHOLE}"
        )
    return architecture
