"""A network that sees an image and its mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Engine


def mirrorings(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Axes of a batch (N, C, *S) to turn for each image that is seen, the first as it is; `axes` are those of space, from 0.

    Example:
        >>> from ultralightunet.engines import mirrorings
        >>> mirrorings((0, 1))
        [(), (3,), (2,), (2, 3)]
    """
    choices = product((False, True), repeat=len(axes))
    return [tuple(2 + axis for axis, is_turned in zip(axes, chosen, strict=True) if is_turned) for chosen in choices]


class Mirrored:
    """The mean of the logits for an image and for its mirror images, each turned back; it takes two, four or eight times as long.

    What an ensemble of networks does, with one that learned from mirror images (test-time mirroring, as in nnU-Net: Isensee et al. 2021).

    Args:
        engine: runs the network.
        axes: of space, from 0, along which images are mirrored, in every combination; none leaves the engine as it is.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import load_model
        >>> from ultralightunet.engines import Mirrored, make_engine
        >>> engine = Mirrored(make_engine(load_model("breast-lesion")), (1,))
        >>> picture = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
        >>> bool(np.allclose(engine(picture[..., ::-1]), engine(picture)[..., ::-1], atol=1e-4))
        True
    """

    def __init__(self, engine: Engine, axes: tuple[int, ...]) -> None:
        self.engine = engine
        self.name, self.device = engine.name, engine.device
        self._turns = mirrorings(axes)

    def prepare(self, shape: tuple[int, ...]) -> None:
        """See `Engine`."""
        self.engine.prepare(shape)

    def __call__(self, batch: NDArray[Any]) -> NDArray[Any]:
        """See `Engine`."""
        first, *others = self._turns
        total = self._turned(batch, first)
        for turn in others:
            # Not in place: an engine may hand out an array of its own.
            total = total + self._turned(batch, turn)
        return total / len(self._turns) if others else total

    def _turned(self, batch: NDArray[Any], turn: tuple[int, ...]) -> NDArray[Any]:
        return np.flip(self.engine(np.ascontiguousarray(np.flip(batch, turn))), turn)
