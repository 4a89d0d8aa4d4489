"""Whether a file says that it holds labels, and what they mean."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from .class_names import KEY, Meaning, in_nifti_header, parsed
from .formats import suffix_of
from .metaimage import read_metaimage_header
from .nrrd_header import read_nrrd_header


def meaning_of(path: Path) -> Meaning | None:
    """What a label file says of itself, None for a file that does not say that it holds labels; reads the header only."""
    suffix, name = suffix_of(path), path.name.lower()
    try:
        if suffix in (".nii", ".nii.gz"):
            return in_nifti_header(nib.load(path).header)
        if suffix == ".nrrd" and not name.endswith(".seg.nrrd"):
            return parsed(read_nrrd_header(path).pairs.get(KEY))
        if suffix == ".mha":
            return parsed(read_metaimage_header(path).get(KEY))
    except (OSError, EOFError, ValueError, LookupError, TypeError, HeaderDataError, ImageFileError):
        # Whatever is wrong with the file is told when it is read.
        pass
    return None
