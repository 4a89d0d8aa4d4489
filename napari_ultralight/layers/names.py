"""What a file of labels is called. Free of Qt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultralightunet.io import WRITABLE_SUFFIXES
from ultralightunet.io.formats import output_suffix
from ultralightunet.volume import Segmentation, Source

from .grid import KEY


def proposed_name(name: str, metadata: Mapping[str, Any]) -> Path:
    """Beside the image where its file is known, named after the layer, with the suffix of the image's format."""
    source = metadata.get(KEY, {}).get("source") or {}
    image = Path(source["path"]) if source.get("path") else None
    folder = image.parent if image is not None and image.parent.is_dir() else Path.home()
    plain = re.sub(r'[<>:"/\\|?*\0]+', "_", name).strip(" .") or "labels"
    return folder / f"{plain}{output_suffix(Source(image, source.get('format', 'array')))}"


def with_suffix(path: Path, made: Segmentation) -> Path:
    """A name that can be written: as it is if its suffix says how, else with that of the image's format."""
    if path.name.lower().endswith(tuple(WRITABLE_SUFFIXES)):
        return path
    suffix = ".png" if made.labels.ndim == 2 and not made.has_spacing else output_suffix(made.source)
    return path.with_name(f"{path.name}{suffix}")
