"""How files come to the disk: written beside and renamed whole, with the permissions of their folder.

What a process that was killed leaves behind has a name of its own, `.KIND-MACHINE-PROCESS-RANDOM`, so that the next run can tell that
nobody is at it any more and remove it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import OutputError

_KINDS = "writing|installing|exporting|candidate|decoding|current|partial"
_OURS = re.compile(rf"\.(?:{_KINDS})-(?P<machine>[0-9a-f]{{8}})-(?P<process>\d+)-[0-9a-f]{{8}}(?:\.[\w.+-]+)?")
_BEFORE = re.compile(
    r"\.(?:writing|installing|exporting|current)-[0-9a-z_]{8,12}|\.[0-9a-f]{12}\.partial(?:\.[\w.+-]+)?|\..+\.[0-9a-f]{8}\.partial"
)
"""Names that earlier versions gave to what was not finished."""

_DAY = 24 * 3600.0


def unfinished(folder: Path, kind: str = "partial", suffix: str = "") -> Path:
    """A new name in `folder` for what is being written; `clear_unfinished` knows it again.

    Args:
        folder: where the finished thing will lie, so that it can be renamed into place.
        kind: one of the words in `_KINDS`.
        suffix: for writers that choose the format by it.
    """
    return folder / f".{kind}-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


@contextmanager
def folder_beside(folder: Path, kind: str, *, private: bool = False) -> Iterator[Path]:
    """A new folder in `folder` for what is being made, gone afterwards; what others left there is cleared first.

    Args:
        folder: exists.
        kind: as for `unfinished`.
        private: whether only this user may read it, as in a folder for everybody's temporary files.

    Raises:
        OSError: if it cannot be made.
    """
    clear_unfinished(folder)
    path = unfinished(folder, kind)
    path.mkdir(mode=0o700 if private else 0o777)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def clear_unfinished(folder: Path, *, everything: bool = False) -> list[Path]:
    """Remove what processes that are gone left unfinished in `folder`, or anybody more than a day ago.

    Args:
        folder: looked at itself, not the folders in it.
        everything: also what is newer, for a caller who knows that nobody else is writing there.

    Returns:
        What was removed; what cannot be removed stays.
    """
    removed = []
    with suppress(OSError):
        for path in unfinished_in(folder):
            if not (everything or _is_abandoned(path)):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()
            if not os.path.lexists(path):
                removed.append(path)
    return removed


@functools.lru_cache(maxsize=1000)
def clear_once(folder: Path) -> None:
    """As `clear_unfinished`, but once a process: for folders that may hold many files, and take many more."""
    clear_unfinished(folder)


def unfinished_in(folder: Path) -> list[Path]:
    """What is not finished in `folder`, by its name, whoever is at it.

    Raises:
        OSError: if the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.startswith("."))
    return [folder / name for name in names if _OURS.fullmatch(name) or _BEFORE.fullmatch(name)]


def read_small(path: Path, *, most: int = 2**24) -> bytes:
    """The bytes of a regular file: no pipe that never ends, nothing that fills the memory.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no file, or holds more than `most` bytes.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path.name} is no file")
    if found.st_size > most:
        raise ValueError(f"{found.st_size} bytes are more than {path.name} can hold")
    return path.read_bytes()


def read_json(path: Path, *, most: int = 2**24) -> Any:
    """What a file of JSON says, as far as it can be said again: no NaN or infinity, which JSON does not know, no half a character.

    Raises:
        OSError: if it cannot be read.
        ValueError, RecursionError: if it is damaged, or larger than `most` bytes.
    """
    found = json.loads(read_small(path, most=most).decode())
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    return found


def write_new(path: Path, blob: bytes, *, durable: bool = False) -> str:
    """Write a new file and read it back; whoever writes many sees them through to the disk all at once (`sync_files`).

    Args:
        path: must not exist.
        blob: its contents.
        durable: whether to wait until the disk has it.

    Returns:
        Its sha256.

    Raises:
        OSError: if it cannot be written.
        OutputError: if it does not read back the same.
    """
    with path.open("xb") as file:
        file.write(blob)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    share(path)
    if path.read_bytes() != blob:
        raise OutputError(f"expected {path.name} to read back as written, found other bytes; check the disk's free space and health")
    return hashlib.sha256(blob).hexdigest()


def write_durably(path: Path, blob: bytes) -> str:
    """As `write_new`, and see it through to the disk."""
    return write_new(path, blob, durable=True)


def replace_durably(path: Path, blob: bytes) -> None:
    """Write a file beside and move it into place, so that whoever reads finds the old one or the new one, whole.

    Raises:
        OSError: if it cannot be written; the old one is then untouched.
    """
    beside = unfinished(path.parent)
    try:
        write_durably(beside, blob)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def append_durably(path: Path, line: bytes) -> None:
    """Add a line to a file that only grows, made if need be, and see it through to the disk; whoever else may write is kept out by a lock.

    Args:
        path: of the file.
        line: ends in a line break, and has no other.

    Raises:
        OSError: if it cannot be written; what was there is then as before.
    """
    with path.open("ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if not end:
            share(path)
        if end:
            file.seek(end - 1)
            # A line that was cut short must not swallow this one.
            line = line if file.read(1) == b"\n" else b"\n" + line
        try:
            written = file.write(line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes fit")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def sync_files(folder: Path) -> None:
    """See everything in a new folder through to the disk.

    Raises:
        OSError: if that fails, for want of space say.
    """
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            descriptor = os.open(os.path.join(place, name), os.O_RDONLY if os.name == "posix" else os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    """See the names in a folder through to the disk, where the system can do that (Windows cannot)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path, *, within: Path) -> None:
    """Make a folder and those above it: `within` as the system would, the ones inside it with that one's permissions.

    Raises:
        OSError: if that cannot be done.
    """
    within.mkdir(parents=True, exist_ok=True)
    for depth in range(len(path.relative_to(within).parts) - 1, -1, -1):
        folder = [path, *path.parents][depth]
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            share(folder)


def share(path: Path) -> None:
    """Give a new file or folder the permissions of the folder that it lies in: who may read that one may read this one.

    What the process's own mask would allow is another thing on a computer that several people share: a choice that only its maker can
    read leaves the others, silently, with another one. A folder in which everybody may write is a place for temporary files, and no guide.
    """
    if os.name != "posix":
        return
    folder = path.parent.stat().st_mode
    if folder & stat.S_IWOTH:
        return
    # Some file systems know no permissions.
    with suppress(OSError):
        path.chmod(folder & (0o2777 if path.is_dir() else 0o666) | stat.S_IRUSR | stat.S_IWUSR)


def _is_abandoned(path: Path) -> bool:
    named = _OURS.fullmatch(path.name)
    if named and named["machine"] == _machine() and os.name == "posix":
        return not _is_alive(int(named["process"]))
    try:
        return time.time() - path.lstat().st_mtime > _DAY
    except OSError:
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        # Of another user, or no number of a process.
        return True
    return True


@functools.cache
def _machine() -> str:
    """What tells this start of this computer (or container) from another one that writes to the same disk."""
    known = [platform.node()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            known.append(os.readlink(place) if place.endswith("pid") else Path(place).read_text(encoding="ascii"))
    return hashlib.sha256("\n".join(known).encode("utf-8", "surrogatepass")).hexdigest()[:8]
