"""Where the corrections of a model's labels are kept, unless the user says otherwise."""

from __future__ import annotations

from pathlib import Path

from ..home import home


def default_store(model_name: str) -> Path:
    """The folder of the store that belongs to a model, by its NAME or NAME@VERSION; all versions of a model share one.

    It is made when the first correction is saved to it.
    """
    return home() / "stores" / model_name.partition("@")[0]
