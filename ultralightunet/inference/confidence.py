"""How sure a network was of what it labelled. Free of any toolkit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Engine

_EVERY = {2: 2, 3: 4}
"""By dimensions: every which pixel or voxel along each axis is looked at. A mean needs no more, and a network's answer has millions."""


class Confidence:
    """An engine that notes how probable its network holds what it labels: the mean, over voxels that are not background, of the
    probability of their class.

    A network that was trained on small sets is surer than it should be, so the number tells cases of one model apart, no more.

    Args:
        engine: runs the network; its answers are passed on as they are.

    Example:
        >>> import numpy as np
        >>> import ultralightunet as ulu
        >>> from ultralightunet.inference.confidence import Confidence
        >>> watched = []
        >>> session = ulu.Session(wrap=lambda engine: watched.append(Confidence(engine)) or watched[-1])
        >>> from ultralightunet.events import finish
        >>> image = ulu.io.read_image("sample_data/colin27_hippocampus_left.nii.gz")
        >>> found = finish(session.segment(image, ulu.Request(ulu.load_model("hippocampus"))))
        >>> 0.5 < watched[0].take() < 1
        True
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.device = engine.name, engine.device
        self._sum, self._count = 0.0, 0

    def prepare(self, shape: tuple[int, ...]) -> None:
        """See `Engine`."""
        self._engine.prepare(shape)

    def __call__(self, batch: NDArray[Any]) -> NDArray[Any]:
        """See `Engine`."""
        logits = self._engine(batch)
        every = _EVERY[logits.ndim - 2]
        probabilities = _of_foreground(logits[(slice(None), slice(None), *(slice(None, None, every),) * (logits.ndim - 2))])
        self._sum += float(probabilities.sum())
        self._count += probabilities.size
        return logits

    def take(self) -> float | None:
        """The mean since it was last taken, from 0 to 1; None if nothing but background was seen."""
        mean = self._sum / self._count if self._count else None
        self._sum, self._count = 0.0, 0
        return mean


def _of_foreground(logits: NDArray[Any]) -> NDArray[Any]:
    """The probability of its class for each voxel whose class is not background, (n,); `logits` (N, K, *S)."""
    if logits.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-logits[logits > 0])))
    best = logits.argmax(1)
    # Of softmax only the largest value is wanted: one over the sum of the others' ratios to it.
    above = logits - logits.max(1, keepdims=True)
    return np.asarray(1 / np.exp(above).sum(1)[best > 0])
