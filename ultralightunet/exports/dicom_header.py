"""What of an image's header a segmentation of it may hold: a list of what may stay, so that nothing that nobody thought of goes along.

The DICOM dictionary has thousands of attributes, manufacturers have their own, and each may hold a name: a list of what to take away is
never complete.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""By which a segmentation refers to its images."""

GEOMETRY = (
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SliceThickness",
    "SpacingBetweenSlices",
)
"""Where the image is."""

PATIENT = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)
"""By which an archive knows the study that a segmentation goes back to; kept only where a person asks for it."""

_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""What DICOM wants to be there, and lets be empty."""

_UID = re.compile(r"[0-9.]{1,64}")


def source_header(header: Dataset, *, pseudonym: str, keep_patient: bool) -> Dataset:
    """A header with nothing of `header` but what its segmentation has to know, for highdicom to take from.

    Args:
        header: of an image.
        pseudonym: the patient's name and number from now on.
        keep_patient: whether the patient and the study stay as they are in place of that.

    Returns:
        The new header, in UTF-8.

    Raises:
        InputError: if the image has no identifiers that a segmentation could refer to.
    """
    import pydicom
    from pydicom.uid import generate_uid

    made = pydicom.Dataset()
    for name in _EMPTY:
        setattr(made, name, "")
    for name in (*UIDS, *GEOMETRY, *(PATIENT if keep_patient else ())):
        if name in header:
            made[name] = header[name]
    for name in UIDS:
        if not _UID.fullmatch(str(made.get(name, ""))):
            raise InputError(f"expected an image with a {name} of digits and dots, found {made.get(name)!r}; export as nifti")
    frame = str(header.get("FrameOfReferenceUID", ""))
    # One for all images of the series, and the same at every export.
    made.FrameOfReferenceUID = (
        frame if _UID.fullmatch(frame) else generate_uid(entropy_srcs=[str(made.SeriesInstanceUID), "frame of reference"])
    )
    if not keep_patient:
        made.PatientName = made.PatientID = pseudonym
    made.SpecificCharacterSet = "ISO_IR 192"
    return made


def one_line(text: str, *, most: int = 64) -> str:
    """Text as DICOM's short texts take it: no line breaks, no backslash (which parts several values), at most so many characters."""
    plain = "".join(letter if letter.isprintable() and letter != "\\" else " " for letter in text)
    return " ".join(plain.split())[:most].strip()
