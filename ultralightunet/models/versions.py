"""The versions of a model: which there are, which one is used where nobody names one, and what each came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..disk import clear_unfinished, make_folder, replace_durably
from ..errors import ModelError, OutputError
from ..home import home
from .facts import Model
from .registry import CURRENT, current_of, installed_folder, list_models


@dataclass(frozen=True)
class Version:
    """One version of a model.

    Attributes:
        model: the version.
        is_current: whether `load_model(NAME)` takes it.
        parent: NAME@VERSION that it was trained from, or "".
        cases: names of the corrected cases that it was trained on, CASE/REVISION.
        scores: measured figures, see `Model.scores`.
        created: when it was made, in UTC, e.g. "2026-01-31T12:00:00+00:00", or "".

    Example:
        >>> from ultralightunet.models import versions
        >>> shipped = versions("brain")[0]
        >>> shipped.model.id, shipped.is_current, shipped.cases
        ('brain@0.1.0', True, ())
    """

    model: Model
    is_current: bool
    parent: str
    cases: tuple[str, ...]
    scores: Mapping[str, Any]
    created: str


def versions(name: str) -> tuple[Version, ...]:
    """The shipped and installed versions of a model, shipped ones first, each followed by what was made of it.

    Raises:
        ModelError: if there is no model of that name.

    Example:
        >>> from ultralightunet.models import versions
        >>> [version.model.id for version in versions("polyp")]
        ['polyp@0.1.0']
    """
    known = list_models()
    named = [model for model in known if model.name == name]
    if not named:
        raise ModelError(f"expected the name of a model ({', '.join(sorted({m.name for m in known})) or 'there is none'}), found {name!r}")
    current = current_of(named)
    return tuple(_version(model, is_current=model.id == current.id) for model in named)


def set_current(name: str, version: str) -> Model:
    """Make a version the one that `load_model(name)` takes; no model folder is changed by it.

    Returns:
        That version.

    Raises:
        ModelError: if there is no such version.
        OutputError: if the choice cannot be noted; the one before then still counts.

    Example:
        >>> from ultralightunet.models import set_current
        >>> set_current("brain", "0.1.0").id
        'brain@0.1.0'
    """
    known = [model for model in list_models() if model.name == name]
    chosen = next((model for model in known if model.version == version), None)
    if chosen is None:
        there = ", ".join(model.id for model in known) or "no model of that name"
        raise ModelError(f"expected a version of {name} that is at hand ({there}), found {version!r}; `ultralight models` lists them")
    note = installed_folder() / name / CURRENT
    try:
        make_folder(note.parent, within=home())
        clear_unfinished(note.parent)
        replace_durably(note, f"{version}\n".encode())
    except OSError as error:
        raise OutputError(
            f"expected to note in {note} that {chosen.id} is used, found an obstacle: {error.strerror}; free space there"
        ) from error
    return chosen


def ancestry(model: Model) -> Iterator[Model]:
    """The model, its parent, that one's parent and so on, as far as they are at hand.

    Example:
        >>> from ultralightunet.models import ancestry, load_model
        >>> [model.id for model in ancestry(load_model("brain"))]
        ['brain@0.1.0']
    """
    seen: set[str] = set()
    found: Model | None = model
    while found is not None and found.id not in seen:
        yield found
        seen.add(found.id)
        parent = found.parent
        found = next((other for other in list_models() if other.id == parent), None) if parent else None


def images_seen(model: Model) -> frozenset[str]:
    """`Revision.image_sha256` of every image that the model or an ancestor was trained on, as far as their folders tell.

    Example:
        >>> from ultralightunet.models import images_seen, load_model
        >>> len(images_seen(load_model("brain")))
        0
    """
    return frozenset(
        case["image_sha256"] for each in ancestry(model) for case in each.origin.get("cases", ()) if case.get("use") != "holdout"
    )


def trace(model: Model) -> list[dict[str, Any]]:
    """Where a model comes from: for it and each ancestor its id, weights' sha256, parent, time, cases with their hashes, and scores.

    Example:
        >>> from ultralightunet.models import load_model, trace
        >>> trace(load_model("brain"))[0]["model"]
        'brain@0.1.0'
    """
    return [
        {
            "model": each.id,
            "sha256": each.sha256,
            "parent": each.parent,
            "created": each.origin.get("created", ""),
            "decision": each.origin.get("decision", ""),
            "cases": list(each.origin.get("cases", ())),
            "scores": dict(each.scores),
        }
        for each in ancestry(model)
    ]


def _version(model: Model, *, is_current: bool) -> Version:
    cases = tuple(f"{case['case']}/{case['revision']:04d}" for case in model.origin.get("cases", ()) if case.get("use") != "holdout")
    return Version(model, is_current, model.parent, cases, model.scores, str(model.origin.get("created", "")))
