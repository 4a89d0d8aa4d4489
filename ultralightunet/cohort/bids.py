"""A cohort that is a BIDS data set, and results that are a BIDS derivative of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..disk import read_json, replace_durably
from ..errors import InputError
from ..io.formats import suffix_of
from ..models import Model
from .cases import Case, by_name, readable
from .finding import Plan
from .place import Place, obstacles_told
from .recipe import Recipe

VERSION = "1.9.0"

_OURS = (".bidsignore", "cohort.json", "cohort.tsv", "earlier", "logs", "pictures", "*report*.html", "run.json", "*@*", ".locks")
"""What lies in the folder beside what BIDS knows."""


def plan_bids(root: str | Path, model: Model, *, suffixes: Sequence[str] = ("T1w",), check: bool = True) -> Plan:
    """The anatomical images of a BIDS data set.

    Args:
        root: its folder.
        model: that will label them.
        suffixes: of images, without an underscore.
        check: whether a `dataset_description.json` must be there and say what a data set is called.

    Raises:
        InputError: if there is no such data set, or no such image in it.

    Example:
        >>> from pathlib import Path
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import plan_bids
        >>> for name in ("sub-01_T1w.nii.gz", "sub-01_T2w.nii.gz"):
        ...     path = Path("study/sub-01/anat") / name
        ...     path.parent.mkdir(parents=True, exist_ok=True)
        ...     path.touch()
        >>> [case.stem for case in plan_bids("study", ulu.load_model("brain"), check=False).cases]
        ['sub-01/anat/sub-01_space-orig_desc-brain_dseg']
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"expected a BIDS data set, found no folder at {root}; check the name")
    if check:
        _check(root)
    cases = by_name(_images(root, model, suffixes))
    if not cases:
        wanted = ", ".join(f"sub-*/anat/*_{suffix}.nii.gz" for suffix in suffixes)
        raise InputError(f"expected images {wanted} (or in ses-* folders) in {root}, found none; name others with --suffix")
    return Plan(root, cases)


def participants_of(plan: Plan) -> dict[str, list[str]]:
    """The names of the cases of each participant, by label."""
    found: dict[str, list[str]] = {}
    for case in plan.cases:
        found.setdefault(case.name.split("/", 1)[0].removeprefix("sub-"), []).append(case.name)
    return found


def chosen(plan: Plan, labels: Sequence[str]) -> list[str]:
    """The names of the cases of participants.

    Args:
        plan: of a data set.
        labels: of participants, with or without "sub-".

    Raises:
        InputError: if there is no such participant, or none with an image.
    """
    there = participants_of(plan)
    missing = [label for label in labels if label.removeprefix("sub-") not in there]
    if missing:
        listed = ", ".join(list(there)[:10]) + (", ..." if len(there) > 10 else "")
        raise InputError(f"expected participants with an image ({listed}), found none for {', '.join(missing)} in {plan.root}")
    return [name for label in labels for name in there[label.removeprefix("sub-")]]


def describe(place: Place, plan: Plan, recipe: Recipe) -> None:
    """Write what makes a folder of results a BIDS derivative, unless it is there.

    Raises:
        ObstacleError: if it cannot be written.
    """
    from .. import __version__

    description = {
        "Name": f"Segmentations by {recipe.model}",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "UltraLight", "Version": __version__, "Description": f"model {recipe.model}, weights {recipe.model_sha256}"}
        ],
        "DatasetLinks": {"raw": readable(Path(os.path.relpath(plan.root, place.folder)).as_posix())},
    }
    texts = {
        "dataset_description.json": json.dumps(description, indent=2),
        "README": f"Labels made by {recipe.model} with UltraLight. For research only. cohort.tsv tells what became of each image.",
        ".bidsignore": "\n".join(_OURS),
    }
    with obstacles_told(place.folder):
        for name, text in texts.items():
            if not (place.folder / name).exists():
                replace_durably(place.folder / name, f"{text}\n".encode())


def _check(root: Path) -> None:
    path = root / "dataset_description.json"
    try:
        found = read_json(path)
    except OSError as error:
        raise InputError(
            f"expected a BIDS data set, found no dataset_description.json that can be read in {root} ({error.strerror}); "
            "name the data set's own folder, or add --skip-bids-validation"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a BIDS data set, found a damaged {path}; mend it, or add --skip-bids-validation") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("Name", "BIDSVersion")):
        raise InputError(f"expected Name and BIDSVersion in {path}, found neither or one; add them, or --skip-bids-validation")


def _images(root: Path, model: Model, suffixes: Sequence[str]) -> Iterator[Case]:
    described = re.sub("[^0-9A-Za-z]", "", model.name)
    for subject in _folders(root, "sub-"):
        for place in (subject, *_folders(subject, "ses-")):
            anat = place / "anat"
            for path in sorted(anat.iterdir()) if anat.is_dir() else ():
                if suffix_of(path) not in (".nii", ".nii.gz"):
                    continue
                name = path.name.removesuffix(suffix_of(path))
                entities, _, suffix = name.rpartition("_")
                if suffix not in suffixes or not name.startswith(subject.name + "_"):
                    continue
                inside = path.relative_to(root)
                # Two contrasts of one session have the same entities.
                which = described if suffix == suffixes[0] else f"{described}{suffix}"
                yield Case(
                    (inside.parent / name).as_posix(),
                    path,
                    inside.as_posix(),
                    (inside.parent / f"{entities}_space-orig_desc-{which}_dseg").as_posix(),
                    uri=f"bids:raw:{readable(inside.as_posix())}",
                )


def _folders(place: Path, begin: str) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.name.startswith(begin) and path.is_dir())
