"""Pointing for a host: the image is handed over once, prompts come one by one, and of the mask only what there is goes back."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Engine
from ..errors import InputError
from ..events import Progress
from ..prompting import Box, Point, Prompt, PromptSession, Stroke
from ..prompting.network import prompt_engine
from ..volume import Volume
from .arrays import read_array, read_volume

Facts = dict[str, Any]
Work = Generator[Progress, None, Facts]


class Pointing:
    """Keeps one image, and the object that was pointed at last in it.

    Everything that the host says of places is in its own array, (k, j, i), where a picture is a volume of one slice.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._threads: int | None = None
        self._image: Volume | None = None
        self._is_flat = False
        self._session: PromptSession | None = None

    def look_at(
        self,
        *,
        image: str,
        affine: Sequence[Sequence[float]],
        channels: int = 1,
        has_spacing: bool = True,
        is_flat: bool = False,
        threads: int | None = None,
    ) -> Work:
        """Keep the array in the file `image`, in place of another one, and load the network, so that the first prompt need not wait."""
        yield Progress("Loading the network", 0, 2)
        if self._engine is None or threads != self._threads:
            self._engine, self._threads = prompt_engine(threads=threads), threads
        yield Progress("Reading the image", 1, 2)
        # First, so that two images never take up memory at once.
        self._image = self._session = None
        self._image = read_volume(image, affine, channels, has_spacing=has_spacing, is_flat=is_flat)
        self._is_flat = is_flat
        return {}

    def point(self, *, prompt: Mapping[str, Any], mask: str, new: Mapping[str, Any] | None = None) -> Work:
        """Answer a prompt; what is cancelled or refused changes nothing.

        Args:
            prompt: "point" with "voxel", "stroke" with a "path" of places, or "box" with half-open "ranges", as "kind"; "positive" of each.
            mask: file for the object's mask, see `_written`.
            new: begins another object: "axis" and "slice_only" of `PromptSession`, and as "start" the "mask" and the "ranges" of a mask to
                begin with, or None.
        """
        said = self._prompt(prompt)
        session = self._session if new is None else self._begun(**new)
        if session is None:
            raise InputError("expected an object to say more of, found none; point at it again")
        yield from session.adding(said)
        self._session = session
        return {**self._written(session, mask), "notes": list(session.notes)}

    def take_back(self, *, mask: str) -> Work:
        """Take the last prompt about the object back; `mask` as for `point`."""
        yield Progress("Taking back", 0, 1)
        if self._session is None:
            raise InputError("expected an object to take a prompt of back, found none; point at it again")
        self._session.undo()
        return self._written(self._session, mask)

    def put_away(self) -> Work:
        """Let go of the image and the object; the network stays."""
        yield Progress("Putting away", 0, 1)
        self._image = self._session = None
        return {}

    def _begun(self, *, axis: int | None = None, slice_only: bool = False, start: Mapping[str, Any] | None = None) -> PromptSession:
        if self._image is None:
            raise InputError("expected an image to point at, found none; point at it again")
        first = None
        if start is not None:
            first = np.zeros(self._image.shape, np.bool_)
            window = tuple(slice(a, b) for a, b in self._own(start["ranges"]))
            first[window] = read_array(start["mask"], is_flat=self._is_flat)
        own_axis = None if self._is_flat else axis
        return PromptSession(self._image, start=first, axis=own_axis, slice_only=slice_only, engine=self._engine)

    def _prompt(self, said: Mapping[str, Any]) -> Prompt:
        positive = bool(said.get("positive", True))
        try:
            if said["kind"] == "point":
                return Point([float(v) for v in self._own(said["voxel"])], positive)
            if said["kind"] == "stroke":
                return Stroke.along([self._own(place) for place in said["path"]], positive=positive)
            if said["kind"] == "box":
                return Box([(float(a), float(b)) for a, b in self._own(said["ranges"])], positive)
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(f"expected a prompt as a kind with its places, found {said}; update UltraLight on both sides") from error
        raise InputError(f"expected a point, a stroke or a box, found {said['kind']!r}; update UltraLight on both sides")

    def _own(self, along: Sequence[Any]) -> Sequence[Any]:
        """What is said along (k, j, i) along the image's axes."""
        return along[1:] if self._is_flat else along

    def _written(self, session: PromptSession, path: str) -> Facts:
        """Write the mask, as far as there is any of it, to a file, and tell the "ranges" that it has in the host's array."""
        mask = session.mask
        part = _box_around(mask)
        shown = mask[part]
        np.save(path, shown[np.newaxis] if self._is_flat else shown)
        ranges = [[side.start, side.stop] for side in part]
        return {"ranges": [[0, 1], *ranges] if self._is_flat else ranges, "voxels": int(np.count_nonzero(shown))}


def _box_around(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box that holds what is True, empty where nothing is."""
    part: list[slice] = []
    for axis in range(mask.ndim):
        # Within what is known already: of a large volume only the first axis is read as a whole, and that one in the order of memory.
        seen = np.moveaxis(mask[tuple(part)], axis, 0)
        along = np.flatnonzero(seen.reshape(len(seen), -1).any(1))
        part.append(slice(int(along[0]), int(along[-1]) + 1) if len(along) else slice(0, 0))
    return tuple(part)
