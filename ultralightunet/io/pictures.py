"""PNG, JPEG, BMP and WebP through Pillow (16-bit colour through SimpleITK)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError, OutputError
from ..volume import Segmentation, Source, Volume
from .limits import check_memory

_AS_STORED = ("L", "I", "I;16", "I;16B", "I;16L", "F", "RGB")
_PNG = b"\x89PNG\r\n\x1a\n"
_GREY_ALPHA, _RGB_ALPHA = 4, 6
"""Kinds of PNG colours."""


def read_picture(path: Path, *, as_labels: bool = False) -> Volume:
    """A grey (j, i) or RGB (j, i, 3) picture; alpha is dropped, pixels stay as stored whatever EXIF says of their orientation.

    Args:
        path: PNG, JPEG, BMP or WebP.
        as_labels: keep a palette's indices and a 1-bit picture's 0 and 1, instead of the colours that they stand for.

    Raises:
        InputError: if the file is damaged, larger than memory allows, or moves.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG", "BMP", "WEBP")) as picture:
            # A camera's JPEG may hold a second, smaller picture, which is a preview of the first.
            frames = getattr(picture, "n_frames", 1) if picture.format in ("PNG", "WEBP") else 1
            if frames > 1:
                raise InputError(f"expected one picture, found {frames} in {path}; save the one that is to be segmented as PNG")
            if picture.format == "BMP":
                _check_length(path, picture.height)
            check_memory(picture.width * picture.height * len(picture.getbands()) * 2, path.stat().st_size, path)
            array = _deep(path) if _is_deep(path) else pixels(picture, as_labels=as_labels)
    except (OSError, EOFError, SyntaxError, ValueError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise InputError(
            f"expected a PNG, JPEG, BMP or WebP picture, found a damaged or other file {path} ({error}); copy or export it again"
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


def _check_length(path: Path, height: int) -> None:
    """Whether a BMP has as many bytes as its size makes; unlike the other formats it has no checksum or marks.

    Raises:
        ValueError: if it has not.
    """
    with path.open("rb") as file:
        head = file.read(54)
    (start,) = struct.unpack_from("<I", head, 10)
    if struct.unpack_from("<I", head, 14)[0] < 40:
        width, bits, packing = struct.unpack_from("<H", head, 18)[0], struct.unpack_from("<H", head, 24)[0], 0
    else:
        width, bits, packing = (struct.unpack_from(kind, head, at)[0] for kind, at in (("<i", 18), ("<H", 28), ("<I", 30)))
    row = (width * bits + 31) // 32 * 4
    more = path.stat().st_size - start - row * height
    # Run lengths (1 and 2) end where they do; some writers add a few empty bytes.
    if packing in (0, 3) and not 0 <= more < min(row, 4):
        raise ValueError(f"it has {row * height + more} bytes of pixels where its size makes {row * height}")


def _is_deep(path: Path) -> bool:
    """Whether it is a PNG of several numbers of 16 bits a pixel, which Pillow would cut to 8."""
    with path.open("rb") as file:
        start = file.read(26)
    return start[:8] == _PNG and start[24] == 16 and start[25] in (2, _GREY_ALPHA, _RGB_ALPHA)


def _deep(path: Path) -> NDArray[Any]:
    """Pixels of 16 bits, (j, i) or (j, i, 3)."""
    data = path.read_bytes()
    if data[25] != _GREY_ALPHA:
        # Imported here, because it takes longer than reading the usual picture.
        import SimpleITK as sitk

        with TemporaryDirectory() as folder:
            # ITK ends the whole process over a name that is not UTF-8; `encode` refuses a temporary folder of such a name.
            copy = Path(folder) / "deep.png"
            str(copy).encode()
            copy.write_bytes(data)
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(copy), imageIO="PNGImageIO"))
        return np.ascontiguousarray(array[..., :3])
    # Two numbers of 16 bits lie in the file as four of 8 do: read as those, they are put together again.
    parts = [(kind, content) for kind, content in _chunks(data) if kind in (b"IHDR", b"IDAT", b"IEND")]
    as_rgba = [(kind, content[:8] + bytes((8, _RGB_ALPHA)) + content[10:] if kind == b"IHDR" else content) for kind, content in parts]
    chunks = (struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in as_rgba)
    with Image.open(io.BytesIO(_PNG + b"".join(chunks)), formats=("PNG",)) as picture:
        return np.asarray(picture).view(">u2")[..., 0].astype(np.uint16)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each part of a PNG.

    Raises:
        ValueError: if one is cut off or its checksum does not fit.
    """
    at = len(_PNG)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(kind + content) != checksum:
            raise ValueError("a checksum does not fit")
        yield kind, content
        at += length + 12


def write_png(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (j, i) as a grey PNG of 8 or 16 bits; where the image was in space is not kept.

    Raises:
        OutputError: for labels in 3D.
        OSError: if it cannot be written.
    """
    if labels.ndim != 2:
        raise OutputError(f"expected 2D labels for PNG, found the volume {labels.shape}; write .nii.gz, .nrrd or .mha")
    Image.fromarray(np.ascontiguousarray(labels)).save(path, format="PNG")
