"""NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Segmentation, Source, Volume
from .checks import check_claim, chosen_volume
from .geometry import affine_from_itk, itk_from_affine, lies_flat

_READERS = {"nrrd": "NrrdImageIO", "metaimage": "MetaImageIO"}


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings off stderr; what matters in them is checked here and said in one sentence."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def itk_reason(error: BaseException) -> str:
    """The last line of an ITK error, which says what happened; the others say where in ITK."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def read_itk(path: Path, kind: str, *, volume_index: int | None = None) -> Volume:
    """An image of `kind` "nrrd" or "metaimage", or one volume of a series.

    Raises:
        InputError: if the file is damaged, or a series of which no volume was chosen.
    """
    name = {"nrrd": "an NRRD", "metaimage": "a MetaImage"}[kind]
    try:
        fields, available = _fields(path, kind)
        reader = sitk.ImageFileReader()
        reader.SetImageIO(_READERS[kind])
        reader.SetFileName(str(path))
        with quiet_itk():
            reader.ReadImageInformation()
            _check_size(reader, fields, available, path)
            image = reader.Execute()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"expected {name} image, found a damaged or other file {path} ({itk_reason(error)}); copy or export it again"
        ) from error
    array = sitk.GetArrayFromImage(image)
    if array.dtype.kind not in "biuf":
        raise InputError(f"expected voxels that are real numbers, found {array.dtype.name} in {path}; export its magnitude")
    array, channels = _one_volume(array, image, volume_index, path)
    dims = min(image.GetDimension(), 3)
    direction = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:dims, :dims].ravel()
    affine = affine_from_itk(image.GetOrigin()[:dims], image.GetSpacing()[:dims], direction.tolist())
    sized = not fields.keys().isdisjoint({"space directions", "spacings", "elementspacing", "elementsize"})
    return Volume(array, affine, channels, sized, Source(path, kind))


def _one_volume(array: NDArray[Any], image: Any, volume_index: int | None, path: Path) -> tuple[NDArray[Any], int]:
    """One volume of `array`, (k, j, i) or (j, i) and then channels, and how many these are."""
    parts = image.GetNumberOfComponentsPerPixel()
    key = "NRRD_kinds[pixel]"
    kind = image.GetMetaData(key) if image.HasMetaDataKey(key) else ""
    if image.GetDimension() > 3:
        array = array.reshape((-1, *array.shape[image.GetDimension() - 3 :]))
    elif parts > 1 and kind in ("list", "time"):
        array, parts = np.moveaxis(array, -1, 0), 1
    else:
        array = array[np.newaxis]
    array = np.ascontiguousarray(array[chosen_volume(volume_index, array.shape[0], path)])
    if kind in ("RGBA-color", "4-color") and parts == 4:
        array, parts = array[..., :3], 3
    return array, parts


def _fields(path: Path, kind: str) -> tuple[dict[str, str], int]:
    """The text header's fields, names in lower case, and how many bytes of voxels follow it.

    Raises:
        ValueError: if it is no such header; ITK would say so on stderr too.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(10_000):
            line = file.readline(10_000)
            if not line.strip():
                break
            name, _, value = line.decode("latin-1").partition("=" if kind == "metaimage" else ":")
            fields[name.strip().lower()] = value.strip().lstrip("=").strip()
            if name.strip().lower() == "elementdatafile":
                break
        start = file.tell()
    if kind == "metaimage" and not {"ndims", "dimsize", "elementtype", "elementdatafile"} <= fields.keys():
        raise ValueError("it does not begin with a MetaImage header")
    beside = fields.get("elementdatafile", fields.get("data file", fields.get("datafile", "LOCAL")))
    if beside.upper() == "LOCAL":
        return fields, path.stat().st_size - start
    data = path.parent / beside
    # Several files, named by a pattern or a list, are left to ITK.
    return fields, data.stat().st_size if data.is_file() else sys.maxsize


def _check_size(reader: Any, fields: dict[str, str], available: int, path: Path) -> None:
    """Whether the file holds as many bytes as its header says: ITK would ask for memory first and complain on stderr."""
    # ITK names a type like "vector of 16-bit signed integer".
    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    voxel = int(bits[1]) // 8 * reader.GetNumberOfComponents() if bits else 1
    packed = fields.get("encoding", "raw") != "raw" or fields.get("compresseddata", "").lower() == "true"
    check_claim(prod(reader.GetSize()) * voxel, available, path, packed=packed)
    if packed:
        check_claim(int(fields.get("compresseddatasize", 0)), available, path, packed=False)


def write_itk(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Write `labels` (k, j, i) or (j, i) with the geometry of `segmentation` and nothing else.

    Raises:
        OutputError: if the affine is sheared.
        RuntimeError: if it cannot be written.
    """
    if labels.ndim == 2 and not lies_flat(segmentation.affine):
        labels = labels[np.newaxis]
    origin, spacing, direction = itk_from_affine(segmentation.affine, labels.ndim)
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels), isVector=False)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    with quiet_itk():
        sitk.WriteImage(image, str(path), useCompression=True)
