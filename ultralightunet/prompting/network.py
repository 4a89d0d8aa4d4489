"""The network that answers prompts, and how it is shipped."""

from __future__ import annotations

from ..engines import Engine, make_engine
from ..errors import ModelError
from ..models import SHIPPED_PROMPTS, Model, read_model
from .crop import CHANNELS
from .looking import SIZE

NAME = "prompt-2d"


def prompt_model() -> Model:
    """The shipped network for prompts in slices and pictures.

    Raises:
        ModelError: if it was left out of this installation, or is damaged.
    """
    folder = SHIPPED_PROMPTS / NAME
    if not folder.is_dir():
        raise ModelError(f"expected the network {NAME}, which answers prompts, found none in this installation; install UltraLight with it")
    return read_model(folder)


def prompt_engine(*, threads: int | None = None) -> Engine:
    """What runs that network, ready for its first look; one engine serves any number of sessions.

    Raises:
        ModelError: as `prompt_model`.
    """
    engine = make_engine(prompt_model(), threads=threads)
    engine.prepare((1, CHANNELS, SIZE, SIZE))
    return engine
