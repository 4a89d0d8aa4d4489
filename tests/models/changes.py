"""A model folder, changed by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ultralightunet.models import METADATA, WEIGHTS


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Rewrite the metadata as `edit` leaves it, or as it returns it."""
    facts = json.loads((folder / METADATA).read_text())
    changed = edit(facts)
    (folder / METADATA).write_text(json.dumps(facts if changed is None else changed))


def exchange_weights(folder: Path, blob: bytes) -> None:
    """Other weights, with metadata that vouch for them."""
    (folder / WEIGHTS).write_bytes(blob)
    change(folder, lambda facts: facts["ultralight"].update(sha256=hashlib.sha256(blob).hexdigest()))


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
