"""What a user set once and for all, for every scene: kept in Slicer's settings."""

from __future__ import annotations

import os

import slicer

from .core import HOME

_GROUP = "UltraLightSegmenter"


def data_folder() -> str:
    """The folder of models and corrections that was chosen, "" for the usual one."""
    return _value("dataFolder")


def keep_data_folder(folder: str) -> None:
    """Use a folder of models and corrections from now on."""
    _keep("dataFolder", folder)


def use_data_folder() -> None:
    """Let the processes find the folder that was chosen; whoever set the environment variable had a reason."""
    if data_folder():
        os.environ.setdefault(HOME, data_folder())


def store(model_name: str) -> str:
    """The store of corrections that was chosen for a model, "" for its own."""
    return _value(f"stores/{model_name}")


def keep_store(model_name: str, folder: str) -> None:
    """Use a store of corrections for a model from now on."""
    _keep(f"stores/{model_name}", folder)


def threads() -> int:
    """How many threads of the processor may be used, 0 for all."""
    return int(_value("threads") or 0)


def keep_threads(number: int) -> None:
    """Use so many threads of the processor from now on, 0 for all."""
    _keep("threads", str(number))


def _value(name: str) -> str:
    return str(slicer.util.settingsValue(f"{_GROUP}/{name}", "", settings=slicer.app.userSettings()))


def _keep(name: str, value: str) -> None:
    slicer.app.userSettings().setValue(f"{_GROUP}/{name}", value)
