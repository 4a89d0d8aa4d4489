"""UltraLight: segmentation of medical images with UltraLightUNet, on an ordinary computer.

>>> import ultralightunet as ulu
>>> segmentation = ulu.segment("sample_data/colin27_hippocampus_left.nii.gz", ulu.load_model("hippocampus"))
>>> segmentation.save("labels.nii.gz")
PosixPath('labels.nii.gz')

Importing this package imports neither torch nor OpenVINO; the names that need them import them when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import InputError, ModelError, OutputError, UltraLightError
from .inference.session import Request, Session, segment
from .models import LabelClass, Model, install_model, list_models, load_model
from .volume import Segmentation, Volume

if TYPE_CHECKING:
    from .networks import UltraLightUNet, convert_official_state_dict
    from .prompting import Box, Lasso, Point, PromptSession, Stroke

__version__ = "0.1.0"

_WHEN_NEEDED = {
    **dict.fromkeys(("UltraLightUNet", "convert_official_state_dict"), ".networks"),
    **dict.fromkeys(("Box", "Lasso", "Point", "PromptSession", "Stroke"), ".prompting"),
}
"""Names whose modules are imported when they are first used: torch takes seconds."""

__all__ = [
    "Box",
    "InputError",
    "LabelClass",
    "Lasso",
    "Model",
    "ModelError",
    "OutputError",
    "Point",
    "PromptSession",
    "Request",
    "Segmentation",
    "Session",
    "Stroke",
    "UltraLightError",
    "UltraLightUNet",
    "Volume",
    "convert_official_state_dict",
    "install_model",
    "list_models",
    "load_model",
    "segment",
]


def __getattr__(name: str) -> Any:
    if name in _WHEN_NEEDED:
        return getattr(import_module(_WHEN_NEEDED[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
