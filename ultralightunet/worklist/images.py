"""Whether a listed image can still be opened, and labels that lie on it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from ..cohort.cases import files_of
from ..corrections.summary import check_grid
from ..errors import InputError, only_our_errors
from ..io import read_image, read_labels
from ..io.nifti_place import moved_onto
from ..volume import Segmentation, Volume
from .cases import ListedCase


def image_digest(path: Path) -> str:
    """sha256 of the bytes of an image's files, one after the other; the same for a copy, whatever its name.

    Raises:
        InputError: if they cannot be read.
    """
    with only_our_errors(path, "an image"):
        if not path.exists():
            raise InputError(f"expected an image, found nothing at {path}; check the name")
        digests = []
        for file in files_of(path):
            if not file.is_file():
                raise InputError(f"expected an image, found a device or a pipe at {path}; give a file")
            with file.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def open_image(case: ListedCase, path: Path) -> Volume:
    """The image of a case, as it was listed; of a time series the first volume.

    Raises:
        InputError: if it is not there, is another one, or is damaged.
    """
    if not path.exists():
        raise InputError(f"expected the image of {case.name}, found nothing at {path}; put it back, or say --images where all are now")
    if image_digest(path) != case.sha256:
        raise InputError(
            f"expected the image of {case.name} as it was listed, found another one, or a damaged copy, at {path}; put the listed one back"
        )
    series = case.series or None
    try:
        return read_image(path, series=series)
    except InputError as error:
        try:
            return read_image(path, volume_index=0, series=series)
        except InputError:
            # It is no time series: the first reason is the one to tell.
            raise error from None


def labels_on(image: Volume, path: Path, name: str) -> Segmentation:
    """Labels from a file, on the grid of the image that they belong to.

    Raises:
        InputError: if they cannot be read, or lie on another grid.
    """
    found = moved_onto(read_labels(path), image)
    check_grid(found, image.shape, image.affine, names=(f"label file {path.name}", f"image of {name}"))
    return replace(found, affine=image.affine, has_spacing=image.has_spacing, source=image.source)


def as_seen_from(folder: Path, path: Path) -> str:
    """A path as it is written into a list: from a folder on where it can be, so that both can be moved together."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        # On another drive of Windows.
        return path.absolute().as_posix()


def from_there(folder: Path, path: str) -> Path:
    """The inverse of `as_seen_from`; `folder` is resolved, and so was the path, so that ".." means what it says."""
    return Path(os.path.normpath(folder / path))
