"""A model for other tools: a MONAI bundle, or one ONNX file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from ..disk import folder_beside
from ..errors import InputError, OutputError
from ..models import Model, load_model


def _write_bundle(model: Model, path: Path) -> None:
    from .monai_bundle import write_bundle

    write_bundle(model, path)


def _write_onnx(model: Model, path: Path) -> None:
    from .onnx_file import write_onnx

    write_onnx(model, path)


Writer = Callable[[Model, Path], None]
"""Writes a model to a path that does not exist yet."""

FORMATS: Mapping[str, Writer] = MappingProxyType({"monai-bundle": _write_bundle, "onnx": _write_onnx})
"""What can be written, by the name that the command line knows."""

NEEDED = MappingProxyType({"monai-bundle": ("torch",), "onnx": ("torch", "onnx", "onnxscript")})
"""Packages that each format takes; all of them come with the extra "export"."""

_FILES = (".json", ".onnx", ".pt", ".ts", ".zip")
"""Suffixes by which a person means a file, not a folder."""


def export_model(model: str | Path | Model, path: str | Path, *, format: str) -> Path:
    """Write a model for other tools, whole or not at all.

    Args:
        model: see `load_model`; it is not changed.
        path: for "onnx" a new file that ends in .onnx; for "monai-bundle" a new or empty folder.
        format: one of `FORMATS`.

    Returns:
        `path`.

    Raises:
        InputError: if there is no such format, or a package that it takes is not installed.
        ModelError: if there is no such model, its weights cannot be used, or the exported network does not compute what it should.
        OutputError: if something is at `path` already, its name does not fit, or it cannot be written.

    Example:
        >>> from ultralightunet.model_exports import export_model
        >>> folder = export_model("breast-lesion", "lesion-bundle", format="monai-bundle")
        >>> sorted(path.name for path in folder.iterdir())
        ['LICENSE', 'configs', 'docs', 'models']
    """
    path = Path(path)
    if format not in FORMATS:
        raise InputError(f"expected a format {' or '.join(FORMATS)}, found {format!r}; choose one of them")
    found = load_model(model)
    missing = [name for name in NEEDED[format] if find_spec(name) is None]
    if missing:
        raise InputError(
            f"expected the package(s) {', '.join(NEEDED[format])} to write {format}, found no {', '.join(missing)}; "
            "pip install 'napari-ultralight[export]'"
        )
    try:
        _check_target(path, format)
        # Found out now rather than after the work.
        parent = path.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(parent, "exporting") as beside:
            FORMATS[format](found, beside / path.name)
            os.replace(beside / path.name, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"expected to write {path}, found an obstacle: {reason}; free space there or choose another folder") from error
    return path


def _check_target(path: Path, format: str) -> None:
    suffix = path.suffix.lower()
    if format == "onnx":
        if suffix != ".onnx":
            raise OutputError(f"expected a file that ends in .onnx, found {path}; change the name")
        if os.path.lexists(path):
            raise OutputError(f"expected a new file, found something at {path}; choose another name or remove it first")
        return
    if suffix in _FILES:
        raise OutputError(f"expected the name of a folder for a MONAI bundle, found {path}; leave out {path.suffix}")
    if os.path.lexists(path) and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"expected a new or empty folder, found other things at {path}; choose another folder")


__all__ = ["FORMATS", "NEEDED", "export_model"]
