"""Whether the files of a series are of one scan: identifiers that some program gave twice, and slices that say less than the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError

if TYPE_CHECKING:
    from .headers import DicomFile

_SCALE = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "SharedFunctionalGroupsSequence")


def check_one_scan(files: Sequence[DicomFile], path: Path) -> None:
    """Refuse files of several patients or studies under one series.

    Raises:
        InputError: if they are.
    """
    for name, what in (("PatientID", "patient"), ("StudyInstanceUID", "study")):
        count = len(_values(files, name))
        if count > 1:
            raise InputError(
                f"expected a series of one {what}, found {count} under one Series Instance UID in {path}: it was given twice, maybe when "
                "names were removed; keep the files of each in a folder of their own"
            )


def doubts_about(files: Sequence[DicomFile]) -> list[str]:
    """What a person should know of files that can be read together all the same."""
    said = []
    if len(_values(files, "FrameOfReferenceUID")) > 1:
        said.append("its files name several frames of reference: slices of different scans may lie beside each other")
    unscaled = [file for file in files if not any(name in file.data.header for name in _SCALE)]
    if 0 < len(unscaled) < len(files) and any(frame.rescale != (1.0, 0.0) for file in files for frame in file.frames):
        said.append(
            f"{len(unscaled)} of its {len(files)} files do not say how their values are scaled, {unscaled[0].path.name} among them, the "
            "others do: these slices may be brighter or darker than they are"
        )
    longer = [file for file in files if file.data.behind]
    if longer:
        said.append(
            f"{len(longer)} of its {len(files)} files have bytes behind the pixels that are nothing known, {longer[0].path.name} among "
            "them: they may be damaged"
        )
    return said


def _values(files: Sequence[DicomFile], name: str) -> set[str]:
    return {text for file in files if (text := file.data.header.text(name))}
