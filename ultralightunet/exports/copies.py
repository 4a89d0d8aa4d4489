"""Files of a store in a new place, known to be the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ..corrections import Revision
from ..corrections.files import packed_nifti
from ..disk import write_new
from ..errors import InputError


def copy_image(revision: Revision, targets: list[Path]) -> None:
    """Copy the image's files, one for each channel."""
    for source, target in zip(revision.image_paths, targets, strict=True):
        _copy(source, target, revision.image_files[source.name])


def copy_of(revision: Revision, name: str, target: Path) -> None:
    """Copy a file of the revision's folder."""
    _copy(revision.folder / name, target, revision.files[name])


def write_array(revision: Revision, array: np.ndarray, target: Path) -> None:
    """Write labels or an image on the grid of a revision's image."""
    write_new(target, packed_nifti(array, revision.affine, has_spacing=revision.has_spacing))


def _copy(source: Path, target: Path, sha256: str) -> None:
    try:
        blob = source.read_bytes()
    except OSError as error:
        raise InputError(f"expected {source}, found none that can be read: {error.strerror}; take it from a copy of the store") from error
    if hashlib.sha256(blob).hexdigest() != sha256:
        raise InputError(f"expected {source} as it was saved, found other bytes; take it from a copy of the store")
    write_new(target, blob)
