"""Where the corrections of a model's labels are kept, unless the user says otherwise."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..home import home
from ..models.checks import is_name


def default_store(model_name: str) -> Path:
    """The folder of the store that belongs to a model, by its NAME or NAME@VERSION; all versions of a model share one.

    It is made when the first correction is saved to it.

    Raises:
        InputError: if no model can be called so.

    Example:
        >>> from ultralightunet.corrections import default_store
        >>> default_store("brain@0.1.0").parts[-2:]
        ('stores', 'brain')
    """
    name = model_name.partition("@")[0]
    if not is_name(name):
        raise InputError(f"expected the name of a model, found {model_name!r}; `ultralight models` lists them")
    return home() / "stores" / name
