"""What a list was made with: its cases as they were listed, and its rules. Written once, whole."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..disk import read_json, write_durably
from ..errors import InputError, only_our_errors
from .cases import ListedCase, listed_from

LIST, LOCK = "worklist.json", ".lock"

SCHEMA_VERSION = 1

ORDERS = ("gain", "listed")


@dataclass(frozen=True)
class ListFacts:
    """What a list was made with.

    Attributes:
        images: the folder of the images, from the list's folder on.
        images_then: the same as an absolute path, when the list was made.
        salt: for the hashes of readers' names.
        cases: as they were listed.
        order: "gain" or "listed".
        readers: how many are to check each case.
        hashed: whether readers' names are kept as hashes.
        hours: after which a case in work is given back by itself.
    """

    images: str
    images_then: str
    salt: bytes
    cases: tuple[ListedCase, ...]
    order: str = "gain"
    readers: int = 1
    hashed: bool = False
    hours: float = 24.0


def write_facts(folder: Path, facts: ListFacts) -> None:
    """Write it into a new folder.

    Raises:
        OSError: if it cannot be written.
    """
    listed = [{key: value for key, value in asdict(case).items() if value and key != "state"} for case in facts.cases]
    told = {"schema_version": SCHEMA_VERSION, **asdict(facts), "salt": facts.salt.hex(), "cases": listed}
    write_durably(folder / LIST, (json.dumps(told, indent=1, allow_nan=False) + "\n").encode())


def read_facts(folder: Path) -> ListFacts:
    """What the list in a folder was made with.

    Raises:
        InputError: if there is none, it is damaged, or of a newer version.
    """
    path = folder / LIST
    with only_our_errors(path, "a worklist"):
        if not path.is_file():
            raise InputError(f"expected a worklist, found none at {folder}; check the name, or make one with `ultralight worklist create`")
        try:
            facts = read_json(path, most=2**30)
            version = int(facts["schema_version"])
            if version <= SCHEMA_VERSION:
                return _checked(facts)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(f"expected a worklist, found a damaged {path} ({error}); take it from a copy") from error
    raise InputError(
        f"expected a worklist of version {SCHEMA_VERSION}, found version {version} in {folder}, which a newer UltraLight wrote; "
        "update UltraLight here"
    )


def _checked(facts: dict[str, Any]) -> ListFacts:
    cases = tuple(listed_from(case) for case in facts["cases"])
    if len({case.name.lower() for case in cases}) < len(cases):
        raise ValueError("two cases have one name")
    found = ListFacts(
        str(facts["images"]),
        str(facts["images_then"]),
        bytes.fromhex(facts["salt"]),
        cases,
        str(facts["order"]),
        int(facts["readers"]),
        bool(facts["hashed"]),
        float(facts["hours"]),
    )
    if found.order not in ORDERS or found.readers < 1 or not 0 < found.hours < math.inf:
        raise ValueError("no list has such rules")
    return found
