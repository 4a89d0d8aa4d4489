"""One writer at a time: an operating system's lock on a file, which ends with its process, however that ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..disk import share
from ..errors import OutputError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

    _TAKEN: tuple[type[OSError], ...] = (PermissionError,)
else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)

    _TAKEN = (BlockingIOError,)


@contextmanager
def only_writer(path: Path, *, wait: float = 60.0) -> Iterator[None]:
    """Hold the lock on the file `path`, which is made if need be and stays.

    Args:
        path: a file that holds nothing.
        wait: seconds to wait for another process or thread.

    Raises:
        OutputError: if another one holds it all that time.
        OSError: if the file cannot be opened for writing, or the file system knows no locks.
    """
    is_new = not path.exists()
    with path.open("ab") as file:
        if is_new:
            share(path)
        deadline = time.monotonic() + wait
        while True:
            try:
                _try_lock(file)
                break
            except _TAKEN:
                if time.monotonic() > deadline:
                    raise OutputError(
                        f"expected to be the only one that writes to {path.parent}, found another program at it for {wait:.0f} s; "
                        "wait until it is done, then save again"
                    ) from None
                time.sleep(0.02)
        try:
            yield
        finally:
            _unlock(file)
