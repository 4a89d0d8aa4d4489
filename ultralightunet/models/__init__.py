"""A model is a folder: read, checked, written, listed, installed."""

from .facts import Intensity, LabelClass, Model, are_sided
from .folder import METADATA, WEIGHTS, read_model, write_model
from .metadata import SCHEMA_VERSION
from .registry import SHIPPED, SHIPPED_PROMPTS, install_model, list_models, load_model
from .versions import Version, ancestry, images_seen, set_current, trace, versions

__all__ = [
    "METADATA",
    "SCHEMA_VERSION",
    "SHIPPED",
    "SHIPPED_PROMPTS",
    "WEIGHTS",
    "Intensity",
    "LabelClass",
    "Model",
    "Version",
    "ancestry",
    "are_sided",
    "images_seen",
    "install_model",
    "list_models",
    "load_model",
    "read_model",
    "set_current",
    "trace",
    "versions",
    "write_model",
]
