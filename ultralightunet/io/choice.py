"""Which volume of a series is meant."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError


def chosen_volume(volume_index: int | None, count: int, path: Path) -> int:
    """The index of the volume to read from a file or folder that holds `count` of them.

    Raises:
        InputError: if it holds several and none was chosen, or not so many.
    """
    if volume_index is None and count > 1:
        raise InputError(f"expected one volume, found a series of {count} in {path}; choose one with --volume-index N (0 to {count - 1})")
    index = volume_index or 0
    if not 0 <= index < count:
        raise InputError(f"expected a volume index from 0 to {count - 1}, found {index} for {path}; change --volume-index")
    return index
