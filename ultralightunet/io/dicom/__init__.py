"""DICOM files and series: their headers are read here, without trusting them; compressed pictures are unpacked in a process of its own."""

from __future__ import annotations

from .headers import DicomFile, Frame, read_dicom_file
from .series import dicom_paths, read_dicom, read_dicom_series, without_copies

__all__ = ["DicomFile", "Frame", "dicom_paths", "read_dicom", "read_dicom_file", "read_dicom_series", "without_copies"]
