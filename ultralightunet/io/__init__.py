"""Images in, labels out: NIfTI, Analyze, FreeSurfer, NRRD, MetaImage, DICOM, PNG, JPEG, BMP, WebP and TIFF."""

from __future__ import annotations

from . import _offline  # noqa: F401 - before anything imports nibabel
from .formats import SUPPORTED_SUFFIXES, WRITABLE_SUFFIXES, base_name, is_dicom_folder, output_paths, output_suffix
from .reading import check_values, read_image, read_labels, read_series
from .writing import check_target, write_labels

__all__ = [
    "SUPPORTED_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "base_name",
    "check_target",
    "check_values",
    "is_dicom_folder",
    "output_paths",
    "output_suffix",
    "read_image",
    "read_labels",
    "read_series",
    "write_labels",
]
