"""A case of a worklist, and what becomes of it with each thing that is noted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from ..cohort.cases import safe_name

TO_DO = "to do"
"""Nobody has looked at it."""

LABELLED = "labelled"
"""A model has labelled it, and nobody has looked at it."""

IN_WORK = "in work"
"""A reader has it."""

CHECKED = "checked"
"""As many readers as are wanted are done with it."""

REJECTED = "rejected"
"""It is not to be read, for a reason."""

STATES = (TO_DO, LABELLED, IN_WORK, CHECKED, REJECTED)
"""What a case can be."""

_KEPT = re.compile(r"readings/[0-9a-f]{32}\.(nii\.gz|nrrd|mha|png|tif)")


@dataclass(frozen=True)
class Reading:
    """What one reader does, or has done, with a case.

    Attributes:
        reader: their name, or what stands for it.
        state: "in work" or "checked".
        until: when a case in work is given back by itself, in seconds since 1970.
        labels: the file with the labels that they kept, from the list's folder on; "" if they kept none.
        labels_sha256: of that file.

    Example:
        >>> from ultralightunet.worklist import Reading
        >>> Reading("Anna", "checked").labels
        ''
    """

    reader: str
    state: str
    until: float = 0.0
    labels: str = ""
    labels_sha256: str = ""


@dataclass(frozen=True)
class ListedCase:
    """A case as it is now.

    Attributes:
        name: tells it apart from every other one of its list.
        image: its file, or the folder of a DICOM series, from the folder of the images on.
        series: Series Instance UID, where that folder holds several.
        sha256: of the image's files, when it was listed.
        labels: the file that a model has written, from the list's folder on; "" if there is none.
        model: NAME@VERSION of that model, where it is known.
        confidence: how sure the model was, from 0 to 1; None where that is not known, or it found nothing.
        volumes: voxels by the number of their class, where they are known.
        doubts: why the model's labels may not be true, one sentence each.
        notes: what readers, or the report of a cohort, said of it.
        readings: by those who have it in work or have checked it.
        reason: why it was rejected; "" if it was not.
        state: one of `STATES`.

    Example:
        >>> from ultralightunet.worklist import ListedCase
        >>> ListedCase("sub-01/T1", "sub-01/T1.nii.gz").state
        'to do'
    """

    name: str
    image: str
    series: str = ""
    sha256: str = ""
    labels: str = ""
    model: str = ""
    confidence: float | None = None
    volumes: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    reason: str = ""
    state: str = TO_DO

    def reading_of(self, reader: str) -> Reading | None:
        """What a reader does with it, None if nothing."""
        return next((reading for reading in self.readings if reading.reader == reader), None)

    def is_open_to(self, reader: str, *, wanted: int) -> bool:
        """Whether it can be handed to a reader, where as many as `wanted` are to check it."""
        return not self.reason and self.reading_of(reader) is None and len(self.readings) < wanted


def listed_from(facts: Mapping[str, Any]) -> ListedCase:
    """The case that the list's own file tells of, before anything was done with it.

    Raises:
        TypeError, ValueError, LookupError, AttributeError: if it tells something else.
    """
    name, image = str(facts["name"]), str(facts["image"])
    if not name or safe_name(PurePosixPath(name).parts) != name:
        raise ValueError(f"no case can be called {name!r}")
    found: dict[str, Any] = {key: str(facts.get(key, "")) for key in ("series", "sha256", "labels", "model")}
    found |= {key: tuple(map(str, facts.get(key, ()))) for key in ("doubts", "notes")}
    return ListedCase(name, image, **found, confidence=_share(facts.get("confidence")), volumes=_volumes(facts.get("volumes", {})))


def after(case: ListedCase, entry: Mapping[str, Any]) -> ListedCase:
    """The case after what an entry of the ledger says happened to it.

    Raises:
        TypeError, ValueError, LookupError, AttributeError: if the entry is none that there can be.
    """
    event, reader, note = entry["event"], str(entry.get("reader", "")), str(entry.get("note", ""))
    others = tuple(reading for reading in case.readings if reading.reader != reader)
    if note:
        case = replace(case, notes=(*case.notes, f"{reader}: {note}" if reader else note))
    if event == "noted":
        return case
    if event == "taken":
        until = float(entry["until"])
        if not math.isfinite(until):
            raise ValueError("no time")
        return replace(case, readings=(*others, Reading(reader, IN_WORK, until)))
    if event == "returned":
        return replace(case, readings=others, reason="")
    if event == "checked":
        labels, sha256 = str(entry.get("labels", "")), str(entry.get("labels_sha256", ""))
        if labels and not _KEPT.fullmatch(labels):
            raise ValueError("no file of this list")
        return replace(case, readings=(*others, Reading(reader, CHECKED, 0.0, labels, sha256)), reason="")
    if event == "rejected":
        return replace(case, readings=tuple(r for r in others if r.state == CHECKED), reason=str(entry["reason"]) or "no reason was given")
    if event == "labelled":
        told: dict[str, Any] = {"confidence": _share(entry.get("confidence")), "volumes": _volumes(entry.get("volumes", {}))}
        return replace(case, labels=str(entry["labels"]), model=str(entry.get("model", "")), doubts=(), **told)
    raise ValueError(f"no event {event!r}")


def at(case: ListedCase, now: float, *, wanted: int) -> ListedCase:
    """The case at a time: what was in work for too long is given back, and its state follows from the rest."""
    readings = tuple(reading for reading in case.readings if reading.state == CHECKED or reading.until > now)
    if case.reason:
        state = REJECTED
    elif _checked(readings) >= wanted:
        state = CHECKED
    elif _checked(readings) < len(readings):
        state = IN_WORK
    else:
        state = LABELLED if case.labels else TO_DO
    return replace(case, readings=readings, state=state)


def _checked(readings: Iterable[Reading]) -> int:
    return sum(reading.state == CHECKED for reading in readings)


def _share(value: Any) -> float | None:
    if value is None:
        return None
    if not 0 <= float(value) <= 1:
        raise ValueError(f"no confidence is {value}")
    return float(value)


def _volumes(found: Mapping[str, Any]) -> dict[str, float]:
    volumes = {str(label): float(voxels) for label, voxels in found.items()}
    if any(not 0 <= voxels < math.inf for voxels in volumes.values()):
        raise ValueError("no volume is negative or infinite")
    return volumes
