"""Libraries in C that write on stderr by themselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep everything off stderr, of this process and all its threads: for the moment in which a picture is unpacked."""
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(2)
        except OSError:
            # A program without a terminal has none.
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
