"""The viewers that have a dock: napari names only the one that was made last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_viewers: list[Any] = []


def note_viewer(viewer: Any) -> None:
    """A dock was opened in a viewer."""
    if all(known is not viewer for known in _viewers):
        _viewers.append(viewer)


def forget_viewer(viewer: Any) -> None:
    """Its dock was closed."""
    with suppress(ValueError):
        del _viewers[[known is viewer for known in _viewers].index(True)]


def layers_everywhere(*others: Any) -> Iterator[Any]:
    """The layers of all viewers that are known, and of `others` (None for none)."""
    for viewer in (*_viewers, *(other for other in others if other is not None and all(other is not known for known in _viewers))):
        yield from viewer.layers
