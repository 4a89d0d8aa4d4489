"""Compiled networks on disk, so that the next process has a network ready in half the time.

A file is one line with two checksums, then what OpenVINO exported: the sha256 of what the network was made from, and that of the bytes
that follow. What does not carry the right ones, because it was damaged or is another model's, is never loaded but made anew and replaced;
OpenVINO itself would compute other labels from a damaged one without a word.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..disk import clear_unfinished, make_folder, replace_durably
from ..home import home
from ..models import Model

logger = logging.getLogger(__name__)

_KEPT = 24
"""Files of about two megabytes; there is one for each network and shape of its input."""

_MARK = b"ultralight-network"


def made_from(model: Model, shape: Sequence[int], *told: str) -> str:
    """sha256 of all that a compiled network is made from: the weights, the code that builds the graph, and `told`.

    Args:
        model: whose weights were read, and so known to have its sha256.
        shape: of the input.
        told: what else decides, such as OpenVINO's version and the processor.
    """
    # Known only once the package is imported, of which this module is a part.
    from .. import __version__

    said = [model.sha256, model.architecture.to_dict(), list(shape), __version__, _code(), *told]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def load(key: str) -> bytes | None:
    """What was kept for `made_from`'s key, None where there is nothing of the kind or it is damaged."""
    path = _path(key)
    try:
        line, _, blob = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if line != _line(key, blob):
        logger.warning("a compiled network in %s is damaged or of another model; it is made anew", path)
        return None
    # Those that were used last are kept longest.
    with suppress(OSError):
        os.utime(path)
    return blob


def keep(key: str, blob: bytes) -> None:
    """Keep a compiled network; where nothing can be written every process compiles for itself."""
    path = _path(key)
    try:
        make_folder(path.parent, within=home())
        clear_unfinished(path.parent)
        replace_durably(path, _line(key, blob) + b"\n" + blob)
        files = sorted(path.parent.glob("*.blob"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in files[_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        logger.info("compiled networks are not kept: %s", error)


def _path(key: str) -> Path:
    return home() / "cache" / "compiled" / f"{key[:32]}.blob"


def _line(key: str, blob: bytes) -> bytes:
    return b" ".join((_MARK, key.encode(), hashlib.sha256(blob).hexdigest().encode()))


@functools.cache
def _code() -> str:
    """sha256 of the files that build a graph, so that one built by another version of them is not taken for theirs."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("openvino_*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
