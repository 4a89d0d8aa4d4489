"""The series in a folder of DICOM files: each is a case if it fits the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from ..errors import InputError
from ..inference.plausibility import is_of_other_kind
from ..io import base_name
from ..io.dicom import DicomFile, dicom_paths, read_dicom_file
from ..models import Model
from .cases import Case, readable, safe_name

_FEWEST = 8
"""Images of a series that may be a volume: fewer are a localizer, or a picture of a report."""


def series_cases(folder: Path, inside: Path, model: Model, wanted: Sequence[str], passed_by: list[str]) -> Iterator[Case]:
    """The cases of one folder.

    A series fits by its modality and, for a 3D model, if it has at least eight images that have a place in the patient. For a 2D model
    pictures without such a place are a case each. A file that cannot be read stands for itself: its case fails and says why.

    Args:
        folder: holds the files.
        inside: the same from the cohort's folder on.
        model: that will label them.
        wanted: patterns of descriptions; where there are any, they decide alone.
        passed_by: is told why a series is none.
    """
    groups: dict[str, list[DicomFile]] = {}
    damaged = []
    for path in dicom_paths(folder):
        try:
            file = read_dicom_file(path)
        except InputError:
            damaged.append(path)
            continue
        if file is not None:
            groups.setdefault(file.series, []).append(file)
    name = inside.parts or (folder.resolve().name,)
    if damaged and not groups:
        yield Case(safe_name(name), folder, str(inside))
    for uid, files in sorted(groups.items()):
        reason = _why_not(files, model, wanted)
        if reason:
            passed_by.append(readable(f"{inside}: the series {files[0].description or uid} {reason}"))
        elif model.spatial_dims == 2 and not _is_placed(files):
            for file in files:
                below = file.path.relative_to(folder)
                yield Case(safe_name((*name, *below.parent.parts, base_name(below))), file.path, str(inside / below))
        elif len(groups) == 1:
            yield Case(safe_name(name), folder, str(inside))
        else:
            yield Case(safe_name((*name, uid)), folder, f"{inside} ({files[0].description or uid})", series=uid)


def _why_not(files: Sequence[DicomFile], model: Model, wanted: Sequence[str]) -> str:
    first = files[0]
    if wanted:
        described = first.description.casefold()
        return "" if any(fnmatch(described, pattern.casefold()) for pattern in wanted) else "is none of --series"
    if is_of_other_kind(first.modality, model):
        return f"is {first.modality}, {model.name} is for {model.modality}"
    if model.spatial_dims == 3 and not any(file.obstacle for file in files):
        images = sum(len(file.frames) for file in files)
        if images < _FEWEST:
            return f"has {images} image{'' if images == 1 else 's'}, a volume has at least {_FEWEST}"
        if not _is_placed(files):
            return "does not say where its images are"
    return ""


def _is_placed(files: Sequence[DicomFile]) -> bool:
    return all(frame.position is not None for file in files for frame in file.frames)
