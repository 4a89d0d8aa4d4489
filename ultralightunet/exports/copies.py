"""Files of a store in a new place, known to be the same."""

from __future__ import annotations

import errno
import hashlib
import zlib
from pathlib import Path

import numpy as np

from ..corrections import Revision
from ..corrections.files import packed_nifti
from ..corrections.layout import own
from ..disk import write_new
from ..errors import InputError

_PIECE = 2**22
"""Bytes that are copied at a time: an image need not fit into memory twice."""


def copy_image(revision: Revision, targets: list[Path]) -> None:
    """Copy the image's files, one for each channel."""
    for source, target in zip(revision.image_paths, targets, strict=True):
        _copy(revision, source, target, revision.image_files[source.name])


def copy_of(revision: Revision, name: str, target: Path) -> None:
    """Copy a file of the revision's folder."""
    _copy(revision, revision.folder / name, target, revision.files[name])


def copy_derived(revision: Revision, source: Path, target: Path) -> bool:
    """Copy packed labels that the store derived from a revision; False if they are missing or damaged, and nothing was written."""
    if own(revision.store, source).is_file():
        unpack = zlib.decompressobj(31)
        with source.open("rb") as file, target.open("xb") as out:
            try:
                while piece := file.read(_PIECE):
                    out.write(piece)
                    # Unpacked only for the checksum at the end, and never much at a time.
                    while piece and not unpack.eof:
                        unpack.decompress(piece, _PIECE)
                        piece = unpack.unconsumed_tail
            except zlib.error:
                pass
        if unpack.eof and not unpack.unused_data:
            return True
        target.unlink()
    return False


def write_array(revision: Revision, array: np.ndarray, target: Path) -> None:
    """Write labels or an image on the grid of a revision's image."""
    write_new(target, packed_nifti(array, revision.affine, has_spacing=revision.has_spacing))


def _copy(revision: Revision, source: Path, target: Path, sha256: str) -> None:
    own(revision.store, source)
    digest = hashlib.sha256()
    try:
        if not source.is_file():
            raise FileNotFoundError(errno.ENOENT, "it is no file")
        file = source.open("rb")
    except OSError as error:
        raise InputError(f"expected {source}, found none that can be read: {error.strerror}; take it from a copy of the store") from error
    with file, target.open("xb") as out:
        while piece := file.read(_PIECE):
            digest.update(piece)
            out.write(piece)
    if digest.hexdigest() != sha256:
        raise InputError(f"expected {source} as it was saved, found other bytes; take it from a copy of the store")
