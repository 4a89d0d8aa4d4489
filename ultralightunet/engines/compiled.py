"""Compiled networks on disk, so that the next process has a network ready in half the time.

OpenVINO reads and writes the files, and checks them: what is damaged, or of another version, processor or network, is compiled anew.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ..home import home

logger = logging.getLogger(__name__)

_KEPT = 24
"""Files of about two megabytes; there is one for each network and shape of its input."""


def cache_folder() -> Path | None:
    """The folder for compiled networks, tidied up; None where nothing can be written: then every process compiles for itself."""
    folder = home() / "cache" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(folder.glob("*.blob"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_KEPT:]:
            path.unlink(missing_ok=True)
    except OSError as error:
        logger.info("compiled networks are not kept: %s", error)
        return None
    return folder
