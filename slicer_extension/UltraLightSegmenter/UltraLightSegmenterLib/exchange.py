"""The folder through which arrays travel to the process beside Slicer and back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from .problem import Problem
from .process import Facts, Listener

_PREFIX = "ultralight-slicer-"


class Exchange:
    """A temporary folder, made when it is first needed.

    Args:
        folder: where it is made; None for the system's own place.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._made: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0

    def path(self, name: str) -> Path:
        """A file that does not exist yet.

        Raises:
            Problem: if there is no room for a folder.
        """
        if self._made is None:
            try:
                clear(self._folder or Path(tempfile.gettempdir()))
                self._made = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=self._folder)
            except OSError as error:
                raise Problem(
                    _(
                        "Expected a folder for temporary files, found an obstacle: {error}; free space or change it in Slicer's settings"
                    ).format(error=error)
                ) from error
        self._count += 1
        return Path(self._made.name) / f"{name}-{self._count}.npy"

    def write(self, path: Path, array: Any) -> None:
        """Write an array, whole or not at all.

        Raises:
            Problem: if there is no room for it.
        """
        try:
            np.save(path, array)
        except OSError as error:
            delete([path])
            raise Problem(
                _("Expected to hand over the {what} in {folder}, found an obstacle: {reason}; free space there and try again").format(
                    what=path.stem.partition("-")[0], folder=path.parent, reason=error.strerror or error
                )
            ) from error

    def close(self) -> None:
        """Leave no file behind."""
        if self._made is not None:
            self._made.cleanup()
            self._made = None


def clear(folder: Path) -> None:
    """Remove the folders of modules whose Slicer was killed: images of patients lie in them."""
    if os.name != "posix":
        # There is no harmless way to ask whether a process is alive, and Windows clears its own folder.
        return
    for path in folder.glob(f"{_PREFIX}*-*"):
        number = path.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not _is_alive(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def deleting(files: Sequence[Path], listener: Listener) -> Listener:
    """A listener that deletes files before it passes on how it ended."""

    def done(facts: Facts) -> None:
        delete(files)
        listener.done(facts)

    def failed(sentence: str) -> None:
        delete(files)
        listener.failed(sentence)

    return Listener(done, failed, listener.progress)


def delete(files: Sequence[Path]) -> None:
    """Delete files that may be gone already."""
    for path in files:
        # The process may still hold it on Windows; the whole folder goes when the module is closed.
        with suppress(OSError):
            path.unlink(missing_ok=True)
