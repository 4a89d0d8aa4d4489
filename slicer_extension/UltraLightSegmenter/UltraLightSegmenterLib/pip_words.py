"""What pip said when an installation failed, and what helps."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from slicer.i18n import tr as _

_NOT_WRITABLE = ("permission denied", "read-only file system", "access is denied", "not writeable", "not writable")
_NO_SPACE = ("no space left", "disk full", "not enough space")
_NO_CONNECTION = ("connection", "no matching distribution", "timed out", "name resolution", "getaddrinfo", "ssl", "proxy", "max retries")


class _Tee(io.TextIOBase):
    """Text that goes on to where it went, and is remembered: Slicer prints pip's lines and tells them to nobody else."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._out = sys.stdout
        self._lines = lines

    def write(self, text: str) -> int:
        self._lines += text.splitlines()
        if self._out is not None:
            self._out.write(text)
        return len(text)

    def flush(self) -> None:
        if self._out is not None:
            self._out.flush()


def site_packages() -> Path:
    """Where pip puts packages of this Python."""
    return Path(sysconfig.get_path("purelib"))


@contextlib.contextmanager
def overheard() -> Iterator[list[str]]:
    """The lines that are printed within."""
    lines: list[str] = []
    with contextlib.redirect_stdout(_Tee(lines)):
        yield lines


def last_words(lines: list[str]) -> str:
    """The last line in which pip tells of an error, "" if it tells of none."""
    told = [line.strip().removeprefix("ERROR:").strip() for line in lines if line.strip().startswith("ERROR:")]
    return told[-1].rstrip(".") if told else ""


def advice(lines: list[str]) -> str:
    """What helps against what pip said."""
    text = "\n".join(lines).casefold()
    if any(word in text for word in _NOT_WRITABLE) or not os.access(site_packages(), os.W_OK):
        return _(
            "Slicer's folder cannot be written to: start Slicer once as somebody who may, ask whoever installed it to run the "
            "tutorial's command, or use a Slicer in a folder of your own"
        )
    if any(word in text for word in _NO_SPACE):
        return _("free space on the disk and try again")
    if any(word in text for word in _NO_CONNECTION):
        return _("check the connection and the proxy, or install from a folder of wheels as the tutorial says")
    return _("the Python console shows all that pip said; the tutorial tells how to install from a folder of wheels")
