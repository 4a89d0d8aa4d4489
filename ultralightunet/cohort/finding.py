"""Which scans there are: in a folder tree, a list, or folders of DICOM series."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from ..errors import InputError
from ..io import SUPPORTED_SUFFIXES
from ..io.formats import looks_like_dicom, suffix_of
from ..models import Model
from .cases import Case, by_name, readable, safe_name
from .dicom_series import series_cases

LISTS = (".txt", ".tsv", ".csv")
"""Suffixes of lists of images."""


@dataclass(frozen=True)
class Plan:
    """What is to be labelled.

    Attributes:
        root: the folder, or the list, that it was found in.
        cases: in the order of their names.
        passed_by: why other things in there are no cases, one sentence each.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet.cohort import Case, Plan
        >>> len(Plan(Path("scans"), (Case("a", Path("scans/a.nii")),)).cases)
        1
    """

    root: Path
    cases: tuple[Case, ...]
    passed_by: tuple[str, ...] = ()


def plan_cohort(root: str | Path, model: Model, *, output: str | Path, match: Sequence[str] = (), series: Sequence[str] = ()) -> Plan:
    """Find the scans.

    A folder is searched with all folders in it, but `output` and what begins with a dot. Pictures (PNG, JPEG, ...) count for a 2D model
    only. Each series in a folder of DICOM files is a case if it fits the model.

    A list is a file with a path a line (`.txt`), or a table with a column `image` and, if need be, `name` and `series` (`.tsv`, `.csv`);
    its paths begin at its own folder.

    Args:
        root: the folder or the list.
        model: that will label them.
        output: the folder for the results.
        match: only files and folders whose path from `root` on, or name, is like one of these patterns, e.g. `*_T1w.nii.gz`.
        series: only DICOM series whose description is like one of these patterns, in whatever case, and whatever the rule for
            fitting ones says.

    Raises:
        InputError: if there is no such folder or list, no scan in it, or two would have one name.

    Example:
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import plan_cohort
        >>> plan = plan_cohort("sample_data", ulu.load_model("brain"), output="results", match=["colin27_h*"])
        >>> [case.name for case in plan.cases]
        ['colin27_hippocampus_left', 'colin27_hippocampus_right']
    """
    root, output = Path(root), Path(output)
    passed_by: list[str] = []
    if root.is_dir():
        if output.exists() and output.resolve() == root.resolve():
            raise InputError(f"expected another folder for the results than the images' own, found {output}; name one beside it")
        found = _in_tree(root, output.resolve(), model, match, series, passed_by)
    elif root.is_file() and root.suffix.lower() in LISTS:
        found = (case for case in in_list(root) if is_like(case.source, match))
    elif root.is_file():
        raise InputError(f"expected a folder or a list ({', '.join(LISTS)}) of images, found the file {root}; name its folder")
    else:
        raise InputError(f"expected a folder or a list of images, found nothing at {root}; check the name")
    try:
        cases = by_name(found)
    except OSError as error:
        raise InputError(
            f"expected a folder that can be read, found {error.filename or root}: {error.strerror}; check its permissions"
        ) from error
    if not cases:
        reason = f" ({passed_by[0]}{f'; and {len(passed_by) - 1} more' if len(passed_by) > 1 else ''})" if passed_by else ""
        raise InputError(f"expected images for {model.name} in {root}, found none{reason}; choose another folder, --match or --series")
    return Plan(root, cases, tuple(passed_by))


def _in_tree(root: Path, output: Path, model: Model, match: Sequence[str], series: Sequence[str], passed_by: list[str]) -> Iterator[Case]:
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(root, followlinks=True, onerror=_raise):
        folder = Path(place)
        here = folder.stat()
        # A link may lead back to where the way began.
        if (here.st_dev, here.st_ino) in seen or (output.exists() and output.samefile(folder)):
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = folder.relative_to(root)
        loose = []
        for name in sorted(files):
            if name.startswith("."):
                continue
            kind = SUPPORTED_SUFFIXES.get(suffix_of(Path(name)), "")
            if kind == "dicom" or (not kind and "." not in name.strip("0123456789.")):
                loose.append(name)
            elif _is_image(name, kind, model, files) and is_like(str(inside / name), match):
                yield Case(safe_name((inside / _stem(name)).parts), folder / name, str(inside / name))
        if not _is_dicom(folder, loose):
            continue
        if "DICOMDIR" in (name.upper() for name in files):
            # A CD: the folders in it are one.
            folders.clear()
        if is_like(str(inside), match):
            yield from series_cases(folder, inside, model, series, passed_by)


def _is_image(name: str, kind: str, model: Model, beside: Sequence[str]) -> bool:
    """Whether a file is an image for a model, not labels, a picture of something else, or the second file of a pair."""
    lower = name.lower()
    if not kind or lower.endswith(".seg.nrrd"):
        return False
    if lower.endswith((".img", ".img.gz")):
        return not any(other.lower() == lower.replace(".img", ".hdr") for other in beside)
    return kind != "image" or lower.endswith((".tif", ".tiff")) or model.spatial_dims == 2


def _is_dicom(folder: Path, names: Sequence[str]) -> bool:
    """Whether some of the files are DICOM: by their suffix, or by how a file without any begins."""
    return any(suffix_of(Path(name)) or ((folder / name).is_file() and looks_like_dicom(folder / name)) for name in names)


def in_list(path: Path) -> Iterator[Case]:
    """The images of a list, in its order; see `plan_cohort`.

    Raises:
        InputError: if it cannot be read, or a row names no image.
    """
    for number, row in enumerate(_rows(path), 1):
        image = row.get("image", "").strip()
        if not image:
            raise InputError(f"expected a column image with a path in each row, found none in row {number} of {path}")
        name = PurePath(row.get("name", "").strip() or PurePath(image).with_name(_stem(PurePath(image).name)))
        safe = safe_name(name.relative_to(name.anchor).parts)
        if not safe:
            raise InputError(f"expected a name for each image, found {readable(str(name))!r} in row {number} of {path}")
        yield Case(safe, path.parent / image, image, series=row.get("series", "").strip())


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"expected a list that can be read, found {path}: {error.strerror}; check its permissions") from error
    # Not splitlines, which also parts at characters that a name may hold.
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if path.suffix.lower() == ".txt":
        return [{"image": line} for line in lines]
    # Tables of tabs, as BIDS has them, know no quotes.
    is_tsv = path.suffix.lower() == ".tsv"
    table = csv.DictReader(lines, delimiter="\t" if is_tsv else ",", quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL)
    try:
        rows = [{key: value or "" for key, value in row.items() if isinstance(key, str)} for row in table]
    except csv.Error as error:
        raise InputError(f"expected a table with a column image, found a damaged one {path}: {error}") from error
    if rows and "image" not in rows[0]:
        raise InputError(f"expected a table with a column image, found {', '.join(rows[0])} in {path}; name the column")
    return rows


def _stem(name: str) -> str:
    """The name of a file without the suffix that names its format."""
    return name[: len(name) - len(suffix_of(Path(name)))] or name


def is_like(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path, or the name at its end, is like one of the patterns; anything is, where there are none."""
    posix = PurePath(path).as_posix()
    return not patterns or any(fnmatchcase(posix, pattern) or fnmatchcase(PurePath(path).name, pattern) for pattern in patterns)


def _raise(error: OSError) -> None:
    raise error
