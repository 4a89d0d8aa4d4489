"""PNG and JPEG through Pillow (16-bit colour through SimpleITK)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError, OutputError
from ..volume import Segmentation, Source, Volume

_AS_STORED = ("L", "I", "I;16", "I;16B", "I;16L", "F", "RGB")


def read_picture(path: Path, *, as_labels: bool = False) -> Volume:
    """A grey (j, i) or RGB (j, i, 3) picture; alpha is dropped, pixels stay as stored whatever EXIF says of their orientation.

    Args:
        path: PNG or JPEG.
        as_labels: keep a palette's indices and a 1-bit picture's 0 and 1, instead of the colours that they stand for.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            array = _deep_colour(path) if _is_deep_colour(path) else pixels(picture, as_labels=as_labels)
    except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as error:
        raise InputError(
            f"expected a PNG or JPEG picture, found a damaged or other file {path} ({error}); copy or export it again"
        ) from error
    return picture_volume(array, path)


def picture_volume(array: NDArray[Any], path: Path) -> Volume:
    """A 2D picture that does not say how large its pixels are."""
    return Volume(array, channels=array.shape[2] if array.ndim > 2 else 1, has_spacing=False, source=Source(path, "image"))


def pixels(picture: Image.Image, *, as_labels: bool = False) -> NDArray[Any]:
    """A Pillow picture's pixels, (j, i) or (j, i, 3)."""
    if as_labels and picture.mode in ("1", "P"):
        return np.asarray(picture).astype(np.uint8)
    if picture.mode == "P":
        colours = np.asarray(picture.convert("RGB"))
        grey = (colours == colours[..., :1]).all()
        return np.ascontiguousarray(colours[..., 0]) if grey else colours
    if picture.mode not in _AS_STORED:
        picture = picture.convert("L" if picture.mode in ("1", "LA", "La") else "RGB")
    array = np.asarray(picture)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _is_deep_colour(path: Path) -> bool:
    """Whether it is a PNG of 16 bits a colour, which Pillow would cut to 8."""
    with path.open("rb") as file:
        start = file.read(26)
    return start[:4] == b"\x89PNG" and start[24] == 16 and start[25] in (2, 6)


def _deep_colour(path: Path) -> NDArray[Any]:
    # Imported here, because it takes longer than reading the usual picture.
    import SimpleITK as sitk

    array = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="PNGImageIO"))
    return np.ascontiguousarray(array[..., :3])


def write_png(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (j, i) as a grey PNG of 8 or 16 bits; where the image was in space is not kept.

    Raises:
        OutputError: for labels in 3D.
        OSError: if it cannot be written.
    """
    if labels.ndim != 2:
        raise OutputError(f"expected 2D labels for PNG, found the volume {labels.shape}; write .nii.gz, .nrrd or .mha")
    Image.fromarray(np.ascontiguousarray(labels)).save(path, format="PNG")
