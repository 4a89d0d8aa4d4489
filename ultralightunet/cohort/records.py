"""What became of a case: a small JSON file beside its labels, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..disk import make_folder, read_json, replace_durably

DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class ClassVolume:
    """How much of a class there is in a case.

    Attributes:
        label: its number.
        name: what it is.
        voxels: how many there are.
        ml: millilitres, None where the size of a voxel is not known or the image is a picture.

    Example:
        >>> from ultralightunet.cohort import ClassVolume
        >>> ClassVolume(1, "brain", 1_350_000, 1350.0).ml
        1350.0
    """

    label: int
    name: str
    voxels: int
    ml: float | None = None


@dataclass(frozen=True)
class CaseRecord:
    """What became of a case.

    Attributes:
        case: its name.
        state: "done" or "failed".
        image: where it was found, from the cohort's folder on.
        fingerprint: see `Case.fingerprint`.
        recipe: see `Recipe.key`.
        image_sha256: of the image's voxels and where they are; the same that a store of corrections knows the image by.
        labels: the file of its labels, from the output folder on.
        model: NAME@VERSION.
        model_sha256: of its weights.
        seconds: from its beginning to its labels.
        volumes: of each class but the background.
        confidence: see `ultralightunet.inference.confidence.Confidence`; None if nothing was found.
        warnings: why its labels may not be true, one sentence each.
        failure: why there are no labels, in one sentence.
        version: of UltraLight.
        uri: of the image in a BIDS data set, "" outside of one; its file then is a sidecar of the labels as well.

    Example:
        >>> from ultralightunet.cohort import CaseRecord
        >>> CaseRecord("sub-01/T1", "done", "sub-01/T1.nii.gz", warnings=("expected 900 to 1900 ml of brain, found 20 ml",)).is_flagged
        True
    """

    case: str
    state: str
    image: str
    fingerprint: str = ""
    recipe: str = ""
    image_sha256: str = ""
    labels: str = ""
    model: str = ""
    model_sha256: str = ""
    seconds: float = 0.0
    volumes: tuple[ClassVolume, ...] = ()
    confidence: float | None = None
    warnings: tuple[str, ...] = field(default_factory=tuple)
    failure: str = ""
    version: str = ""
    uri: str = ""

    @property
    def is_flagged(self) -> bool:
        """Whether it is done, and doubted."""
        return self.state == DONE and bool(self.warnings)

    @property
    def verdict(self) -> str:
        """What a person is told: "done", "flagged" or "failed"."""
        return "flagged" if self.is_flagged else self.state


def record_from(facts: Mapping[str, Any]) -> CaseRecord:
    """The record of what a file or a worker tells; what a newer version told besides is left out.

    Raises:
        TypeError, ValueError, LookupError, AttributeError: if it tells something else.
    """
    known = {entry.name for entry in fields(CaseRecord)}
    told = {name: value for name, value in facts.items() if name in known}
    volumes = tuple(ClassVolume(int(v["label"]), str(v["name"]), int(v["voxels"]), v["ml"]) for v in told.pop("volumes", ()))
    warnings = tuple(str(warning) for warning in told.pop("warnings", ()))
    record = CaseRecord(**told, volumes=volumes, warnings=warnings)
    if record.state not in (DONE, FAILED):
        raise ValueError(f"no state {record.state!r}")
    return record


def read_record(path: Path) -> CaseRecord | None:
    """The record in a file, None if there is none or it is damaged: such a case is as good as not begun.

    Raises:
        OSError: if it is there and cannot be read.
    """
    try:
        return record_from(read_json(path))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return None


def write_record(path: Path, record: CaseRecord, *, within: Path) -> None:
    """Write a record in place of an older one.

    Args:
        path: of the file.
        record: what it tells.
        within: the folder for results, which is there.

    Raises:
        OSError: if it cannot be written; the older one is then untouched.
    """
    make_folder(path.parent, within=within)
    sidecar: dict[str, Any] = {}
    if record.uri:
        sidecar = {
            "Description": f"Labels made by {record.model}",
            "Sources": [record.uri],
            "SpatialReference": record.uri,
            "Manual": False,
        }
    replace_durably(path, (json.dumps({**sidecar, **asdict(record)}, indent=1, allow_nan=False) + "\n").encode())
