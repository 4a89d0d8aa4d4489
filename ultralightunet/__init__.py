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

__version__ = "0.1.0"

_NEED_TORCH = {"UltraLightUNet", "convert_official_state_dict"}

__all__ = [
    "InputError",
    "LabelClass",
    "Model",
    "ModelError",
    "OutputError",
    "Request",
    "Segmentation",
    "Session",
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
    if name in _NEED_TORCH:
        return getattr(import_module(".networks", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
