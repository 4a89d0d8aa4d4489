"""Any image or label file by its path, and whether its values can be segmented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..volume import Segmentation, Source, Volume
from .border import only_our_errors
from .formats import format_of, suffix_of
from .series import Series

if TYPE_CHECKING:
    from .nifti import StoredImage


def read_image(path: str | Path, *, volume_index: int | None = None, series: str | None = None) -> Volume:
    """An image with its geometry.

    Args:
        path: NIfTI, Analyze, FreeSurfer, NRRD, MetaImage, DICOM, PNG, JPEG, BMP, WebP or TIFF file, or a folder with a DICOM series.
        volume_index: which volume of a series (time points), from 0.
        series: Series Instance UID, where a folder holds several series.

    Raises:
        InputError: if there is no such image, it is damaged, or it is not said which of several is meant.

    Example:
        >>> from ultralightunet.io import read_image
        >>> volume = read_image("sample_data/colin27_hippocampus_left.nii.gz")
        >>> volume.shape, volume.spacing  # (k, j, i) and mm
        ((36, 52, 36), (1.0, 1.0, 1.0))
    """
    return _read(Path(path), volume_index, series, as_labels=False)


def read_series(path: str | Path, *, series: str | None = None) -> tuple[Volume, NDArray[Any] | None]:
    """An image and None, or the first volume of a time series and all of its volumes (t, ...).

    Args:
        path: as for `read_image`.
        series: as for `read_image`.

    Raises:
        InputError: if it cannot be read.

    Example:
        >>> from ultralightunet.io import read_series
        >>> first, volumes = read_series("sample_data/colin27_hippocampus_left.nii.gz")
        >>> first.shape, volumes is None  # an image, not a series
        ((36, 52, 36), True)
    """
    path = Path(path)
    with only_our_errors(path):
        kind = format_of(path)
        if kind != "image":
            found = _series_of_file(kind, path, series)
            return found.one(0), found.volumes if len(found.volumes) > 1 else None
    try:
        return read_image(path, series=series), None
    except InputError as error:
        # Either this is a series, or it cannot be read at all: then the first reason is the one to tell.
        try:
            first = read_image(path, volume_index=0, series=series)
        except InputError:
            raise error from None
    volumes = [first.array]
    while True:
        try:
            volumes.append(read_image(path, volume_index=len(volumes), series=series).array)
        except InputError as error:
            # The expected end; anything else is damage further on.
            if f"from 0 to {len(volumes) - 1}," not in str(error):
                raise
            return first, np.stack(volumes)


def _read(path: Path, volume_index: int | None, series: str | None, *, as_labels: bool) -> Volume:
    with only_our_errors(path):
        kind = format_of(path)
        if series is not None and kind != "dicom":
            raise InputError(f"expected a DICOM folder for the series {series}, found {path}; leave out --series")
        # Each reader is imported when it is needed, because together they take most of a second.
        if kind == "dicom":
            from .dicom import read_dicom

            return read_dicom(path, volume_index=volume_index, series=series)
        if kind == "image":
            return _read_picture(path, volume_index, as_labels=as_labels)
        if kind in ("nrrd", "metaimage"):
            return _series_of_file(kind, path, series).one(volume_index)
        with _stored(kind, path) as stored:
            return stored.read(volume_index)


def _series_of_file(kind: str, path: Path, series: str | None) -> Series:
    if kind == "dicom":
        from .dicom import read_dicom_series

        return read_dicom_series(path, series=series)
    if kind == "nrrd":
        from .nrrd import read_nrrd

        return read_nrrd(path)
    if kind == "metaimage":
        from .metaimage import read_metaimage

        return read_metaimage(path)
    with _stored(kind, path) as stored:
        return stored.read_series()


@contextmanager
def _stored(kind: str, path: Path) -> Iterator[StoredImage]:
    """The header of a file whose voxels may be read one volume at a time; what is wrong with either is told in one sentence."""
    from .nifti import damage_told, stored_nifti

    if kind == "freesurfer":
        from .freesurfer import stored_freesurfer as stored
    elif kind == "analyze":
        from .analyze import stored_pair as stored
    else:
        stored = stored_nifti
    with damage_told(path, {"freesurfer": "a FreeSurfer", "analyze": "an Analyze"}.get(kind, "a NIfTI")):
        yield stored(path)


def _read_picture(path: Path, volume_index: int | None, *, as_labels: bool) -> Volume:
    if suffix_of(path) in (".tif", ".tiff"):
        from .tiff import read_tiff

        return read_tiff(path, as_labels=as_labels, volume_index=volume_index)
    if volume_index:
        raise InputError(f"expected a series of volumes for --volume-index {volume_index}, found a picture {path}; leave it out")
    from .pictures import read_picture

    return read_picture(path, as_labels=as_labels)


def check_values(volume: Volume, *, nan_fill: float | None = None) -> Volume:
    """The same volume if its values can be segmented, or a copy with missing values filled in.

    Args:
        volume: to be checked.
        nan_fill: takes the place of NaN and infinite values, which are refused otherwise.

    Raises:
        InputError: if values are missing, or all are equal.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import Volume
        >>> from ultralightunet.io import check_values
        >>> image = Volume(np.array([[0.0, 1.0], [np.nan, 3.0]]))
        >>> check_values(image)
        Traceback (most recent call last):
        ultralightunet.errors.InputError: expected finite values, found 1 of 4 NaN or infinite; fill them with --nan-fill V, e.g. 0
        >>> check_values(image, nan_fill=0).array.tolist()
        [[0.0, 1.0], [0.0, 3.0]]
    """
    array = volume.array
    if array.dtype.kind not in "biuf":
        raise InputError(f"expected real numbers, found an image of type {array.dtype}; convert it to numbers first")
    if array.dtype.itemsize != 4 and array.dtype.kind == "f":
        # The network computes in single precision: what that cannot hold is as good as infinite.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        volume = replace(volume, array=array)
    low, high = array.min(), array.max()
    # NaN and infinity show in the minimum and maximum, so nothing as large as the image is made to look for them.
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = np.isfinite(array)
        count = int(array.size - np.count_nonzero(finite))
        if nan_fill is None:
            raise InputError(f"expected finite values, found {count} of {array.size} NaN or infinite; fill them with --nan-fill V, e.g. 0")
        if not np.isfinite(np.float32(nan_fill)):
            raise InputError(f"expected a finite value to fill missing ones with, found {nan_fill}; change --nan-fill")
        array = np.where(finite, array, array.dtype.type(nan_fill))
        low, high = array.min(), array.max()
        volume = replace(volume, array=array)
    if low == high:
        raise InputError(
            f"expected an image with contrast, found every value equal to {low:g}: there is nothing to segment; choose another image"
        )
    return volume


def read_labels(path: str | Path, *, volume_index: int | None = None, series: str | None = None) -> Segmentation:
    """Labels from a file of any readable format, e.g. a reference for `ultralight evaluate`.

    Whole numbers stored as floats are accepted; so is a picture of 0 and 255, which becomes 0 and 1. A segmentation of 3D Slicer
    (`.seg.nrrd`) brings its classes along. The source has the file's format
    and header but no path, because the path of a segmentation's source is that of its image.

    Args:
        path: as for `read_image`.
        volume_index: as for `read_image`.
        series: as for `read_image`.

    Raises:
        InputError: if the file cannot be read, or holds anything but labels 0 to 65535.

    Example:
        >>> from ultralightunet.io import read_labels
        >>> read_labels("sample_data/tumour_mri_1_tumour.nrrd").counts()
        {1: 4137}
    """
    path = Path(path)
    with only_our_errors(path, "labels"):
        return _read_labels(path, volume_index, series)


def _read_labels(path: Path, volume_index: int | None, series: str | None) -> Segmentation:
    if suffix_of(path) in (".jpg", ".jpeg", ".webp"):
        raise InputError(f"expected labels, found a JPEG or WebP {path}, whose compression changes them; save them as PNG")
    if path.name.lower().endswith(".seg.nrrd") and path.is_file():
        from .segments import read_segments

        return read_segments(path)
    volume = _read(path, volume_index, series, as_labels=True)
    array = volume.array
    if volume.channels > 1:
        if (array != array[..., :1]).any():
            raise InputError(f"expected one label a voxel, found {volume.channels} channels in {path}; save labels as single numbers")
        array = array[..., 0]
    array = _whole(array, path)
    if volume.source.format == "image" and array.max() == 255 and ((array == 0) | (array == 255)).all():
        array = (array > 0).astype(np.uint8)
    source = Source(None, volume.source.format, volume.source.header)
    return Segmentation(array, volume.affine, (), volume.has_spacing, source, facts={"notes": list(volume.notes)})


def _whole(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """`array` as uint8, or uint16 where it holds more than 255."""
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 65535):
        raise InputError(f"expected labels from 0 to 65535, found values from {low:g} to {high:g} in {path}; give a label map")
    if array.dtype.kind == "f":
        rounded = np.rint(array)
        if np.abs(array - rounded).max() > 1e-4:
            raise InputError(
                f"expected whole numbers as labels, found fractions in {path}; give a label map, not an image or probabilities"
            )
        array = rounded
    return np.ascontiguousarray(array, dtype=np.uint8 if high <= 255 else np.uint16)
