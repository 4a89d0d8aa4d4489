"""The square of a slice that the network sees: where it lies, what it shows, and the answer back on the slice's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ..errors import InputError
from ..inference.transforms import resample

Mask = NDArray[np.bool_]
Array = NDArray[Any]

CHANNELS = 7
"""Of the network's input: red, green, blue; what belongs to the object; what does not; an area that it lies in; the mask so far."""

_SQUARE = np.ones((3, 3), np.bool_)


@dataclass(frozen=True)
class Crop:
    """A square in mm (in pixels, where their size is not known) on a slice.

    Attributes:
        rows: pixels of the slice along j that lie in the square, a range.
        columns: the same along i.
        size: pixels of the network's square grid.
        place: where `rows` and `columns` lie in that grid; what is left over lies outside the image.
    """

    rows: slice
    columns: slice
    size: int
    place: tuple[slice, slice]

    @classmethod
    def around(cls, centre: tuple[float, float], side: float, *, shape: tuple[int, int], spacing: tuple[float, float], size: int) -> Crop:
        """The square of `side` mm around `centre` (j, i, in pixels), moved into the image where it reaches beyond.

        Args:
            centre: its middle.
            side: in mm.
            shape: of the slice (J, I).
            spacing: mm of a pixel along (j, i).
            size: pixels of the network's grid.
        """
        ranges, place = [], []
        for middle, count, step in zip(centre, shape, spacing, strict=True):
            wanted = max(1, round(side / step))
            start = min(max(0, round(middle + 0.5 - wanted / 2)), max(0, count - wanted))
            stop = min(count, start + wanted)
            drawn = max(1, round(size * (stop - start) / wanted))
            before = (size - drawn) // 2
            ranges.append(slice(start, stop))
            place.append(slice(before, before + drawn))
        return cls(ranges[0], ranges[1], size, (place[0], place[1]))

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of a slice (J, I, ...)."""
        return self.rows, self.columns

    @property
    def drawn(self) -> tuple[int, int]:
        """Pixels of the network's grid that show the image, (j, i)."""
        return self.place[0].stop - self.place[0].start, self.place[1].stop - self.place[1].start

    def image(self, plane: Array) -> NDArray[np.float32] | None:
        """A slice (J, I) or (J, I, 3) as the network sees it: (3, size, size) in 0..1, its first and last percentile at the ends.

        None where all grey values are the same: there is nothing to be seen.

        Raises:
            InputError: for values that are not numbers.
        """
        # Read here and no sooner: a plane may be computed, or lie in a file.
        shown = resample(np.asarray(plane[self.window]), self.drawn)
        low, high = np.percentile(shown, (1, 99))
        if not np.isfinite((low, high)).all():
            raise InputError("expected grey values that are numbers where you point, found NaN or infinite ones; replace them first")
        if low == high and shown.min() == shown.max():
            return None
        shown = np.clip((shown - low) / max(1e-6, float(high - low)), 0, 1)
        out = np.zeros((3, self.size, self.size), np.float32)
        out[(slice(None), *self.place)] = shown
        return out

    def mask(self, mask: Mask) -> Mask:
        """A mask (J, I) on the network's grid."""
        cut = mask[self.window]
        out = np.zeros((self.size, self.size), np.bool_)
        if cut.any():
            out[self.place] = resample(cut.astype(np.float32), self.drawn)[0] >= 0.5
        return out

    def marks(self, mask: Mask) -> Mask:
        """Marks (J, I) on the network's grid: none is lost where it is coarser, and each is three pixels wide at least."""
        cut = mask[self.window]
        out = np.zeros((self.size, self.size), np.bool_)
        if not cut.any():
            return out
        own, drawn = cut.shape, self.drawn
        shown = out[self.place]
        at = [np.minimum((np.arange(d) + 0.5) * n / d, n - 1).astype(np.intp) for n, d in zip(own, drawn, strict=True)]
        shown |= cut[np.ix_(*at)]
        places = np.argwhere(cut)
        shown[tuple(np.minimum((places[:, a] + 0.5) * drawn[a] / own[a], drawn[a] - 1).astype(np.intp) for a in (0, 1))] = True
        wider: Mask = scipy.ndimage.binary_dilation(out, _SQUARE)
        return wider

    def back(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's answer (size, size) on the pixels of `rows` and `columns`."""
        cut = np.ascontiguousarray(logits[self.place])
        plane: NDArray[np.float32] = resample(cut, (self.rows.stop - self.rows.start, self.columns.stop - self.columns.start))[0]
        return plane
