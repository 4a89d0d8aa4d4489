"""Which volume of a series is meant, and whether a file can hold what its header says."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from .limits import check_memory


def check_claim(claimed: int, available: int, path: Path, *, packed: bool) -> None:
    """Refuse a header that claims more voxels than its file can hold, before memory for them is asked for.

    Args:
        claimed: bytes of the voxels.
        available: bytes that the file has for them.
        path: of the file.
        packed: whether they are compressed; whether all are there shows when they are unpacked.

    Raises:
        InputError: if the file is too short, or the voxels would take more memory than `check_memory` allows.
    """
    if not packed and claimed > available:
        raise InputError(
            f"expected {claimed} bytes of voxels, found {available} in {path}: it is cut off or its header damaged; copy it again"
        )
    check_memory(claimed, available, path)


def chosen_volume(volume_index: int | None, count: int, path: Path, told: str = "") -> int:
    """The index of the volume to read from a file or folder that holds `count` of them, which differ in what `told` says.

    Raises:
        InputError: if it holds several and none was chosen, or not so many.
    """
    if volume_index is None and count > 1:
        found = f"a series of {count} ({told})" if told else f"a series of {count}"
        raise InputError(f"expected one volume, found {found} in {path}; choose one with --volume-index N (0 to {count - 1})")
    index = volume_index or 0
    if not 0 <= index < count:
        raise InputError(f"expected a volume index from 0 to {count - 1}, found {index} for {path}; change --volume-index")
    return index
