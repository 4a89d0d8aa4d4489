"""An image that may be several: the volumes of a time series, of which one is meant or all are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..volume import Affine, Source, Volume
from .checks import chosen_volume


@dataclass(frozen=True, eq=False)
class Series:
    """What a file holds.

    Attributes:
        volumes: (t, k, j, i) or (t, j, i), channels last if there are several; t is 1 for most images.
        affine: as `Volume.affine`.
        channels: as `Volume.channels`.
        has_spacing: as `Volume.has_spacing`.
        source: as `Volume.source`, with a path.
        notes: as `Volume.notes`.
    """

    volumes: NDArray[Any]
    affine: Affine
    channels: int
    has_spacing: bool
    source: Source
    notes: tuple[str, ...] = ()

    def one(self, volume_index: int | None) -> Volume:
        """One volume.

        Raises:
            InputError: if there are several and none was chosen, or not so many.
        """
        assert self.source.path is not None
        array = np.ascontiguousarray(self.volumes[chosen_volume(volume_index, len(self.volumes), self.source.path)])
        return Volume(array, self.affine, self.channels, self.has_spacing, self.source, self.notes)
