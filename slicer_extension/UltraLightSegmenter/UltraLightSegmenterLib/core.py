"""Where the core lies: in an installed extension beside the module, in a checkout at its root."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from .problem import Problem

MODULE_FOLDER = Path(__file__).resolve().parent.parent
CORE = "ultralightunet"
HOME = "ULTRALIGHT_HOME"
"""The environment variable that names the folder of models and corrections."""


def core_folder(module_folder: Path = MODULE_FOLDER) -> Path:
    """The folder that holds the package `ultralightunet`.

    Raises:
        Problem: if it is neither beside the module nor at the root of the checkout that holds the module.
    """
    for folder in (module_folder, *module_folder.parents[1:2]):
        if (folder / CORE / "__init__.py").is_file():
            return folder
    raise Problem(
        _("Expected the package {core} beside the module, found none in {folder}; install the extension UltraLightUNet again").format(
            core=CORE, folder=module_folder
        )
    )


def sample_folder(module_folder: Path = MODULE_FOLDER) -> Path | None:
    """The folder of the sample images, or None where they are missing."""
    for folder in (module_folder / "Resources" / "SampleData", *(parent / "sample_data" for parent in module_folder.parents[1:2])):
        if (folder / "README.md").is_file():
            return folder
    return None


def shipped_models(module_folder: Path = MODULE_FOLDER) -> list[dict[str, Any]]:
    """What can be said of the shipped models before the core's packages are installed."""
    try:
        files = sorted((core_folder(module_folder) / CORE / "shipped").glob("*/configs/metadata.json"))
        return [_facts(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    except (Problem, OSError, LookupError, ValueError):
        # The panel says what is wrong as soon as something is to be done.
        return []


def _facts(metadata: dict[str, Any]) -> dict[str, Any]:
    ours = metadata["ultralight"]
    return {
        "id": f"{ours['name']}@{metadata['version']}",
        "name": ours["name"],
        "version": metadata["version"],
        "title": ours["title"],
        "modality": ours["modality"],
        "spatial_dims": ours["architecture"]["spatial_dims"],
        "classes": ours["classes"],
        "licence": "",
        "intended_use": metadata.get("intended_use", ""),
        "parent": "",
        "is_current": True,
    }


def python_command() -> list[str]:
    """The Python that runs the core: Slicer's own interpreter, which its application brings along under the name PythonSlicer."""
    return [shutil.which("PythonSlicer") or sys.executable]


def core_environment(folder: Path | None = None) -> dict[str, str]:
    """The environment in which `python_command` finds the core, and nothing that happens to lie in the current folder."""
    paths = [str(folder or core_folder()), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **settings}
