"""Which names of the core are public: what the pages of `docs/api` describe, and what an example is demanded of."""

from __future__ import annotations

from importlib import import_module
from inspect import isclass, isfunction, unwrap
from types import MappingProxyType
from typing import Any

MODULES = (
    "ultralightunet",
    "ultralightunet.io",
    "ultralightunet.models",
    "ultralightunet.engines",
    "ultralightunet.inference.session",
    "ultralightunet.inference.confidence",
    "ultralightunet.inference.transforms",
    "ultralightunet.inference.postprocessing",
    "ultralightunet.prompting",
    "ultralightunet.corrections",
    "ultralightunet.exports",
    "ultralightunet.model_exports",
    "ultralightunet.retraining",
    "ultralightunet.new_task",
    "ultralightunet.cohort",
    "ultralightunet.worklist",
    "ultralightunet.learning.training",
    "ultralightunet.learning.losses",
    "ultralightunet.learning.augmentation",
    "ultralightunet.learning.side_by_side",
    "ultralightunet.metrics",
    "ultralightunet.editing",
)
"""A module's public names are those of its `__all__`, else its own functions and classes whose names begin with a letter."""

INTERNAL = ("ultralightunet.cli", "ultralightunet.networks", "ultralightunet.worker")
"""Packages that offer nothing to a caller, or whose public names `ultralightunet` offers."""


def can_be_called(thing: Any) -> bool:
    """Whether it is a class or a function."""
    return isclass(thing) or isfunction(unwrap(thing))


def names_of(module: str) -> list[str]:
    """The public names of a module, in its order."""
    found = import_module(module)
    if hasattr(found, "__all__"):
        return list(found.__all__)
    own = (name for name, thing in vars(found).items() if can_be_called(thing) and thing.__module__ == module)
    return [name for name in own if not name.startswith("_")]


def public_names() -> dict[str, Any]:
    """Every public name with its module, and what it stands for; a thing that two modules offer is of the first."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for module in MODULES:
        for name in names_of(module):
            thing = getattr(import_module(module), name)
            if can_be_called(thing) and id(thing) in seen:
                continue
            seen.add(id(thing))
            found[f"{module}.{name}"] = thing
    return found


NAMES = MappingProxyType(public_names())
