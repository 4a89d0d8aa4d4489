"""Whether a training still gains."""

from __future__ import annotations

_LEAST_STEPS = 400
_SHARE = 0.4
"""Of the steps so far, at least the number above, in which nothing was gained before a training is taken to be over."""

_GAIN = 0.98
"""Of the least loss so far: what is not below this is no gain."""


class Gains:
    """Told of the loss now and then, tells whether it still falls.

    Example:
        >>> from ultralightunet.new_task.gains import Gains
        >>> gains = Gains()
        >>> for step in range(100, 900, 100):
        ...     gains.add(step, 0.2 if step > 300 else 1.0)
        >>> gains.are_over, gains.last
        (True, 0.2)
    """

    def __init__(self) -> None:
        self._smooth: float | None = None
        self._least = float("inf")
        self._since = 0
        self._step = 0

    def add(self, step: int, loss: float) -> None:
        """The mean loss of the steps up to this one since the last call."""
        self._smooth = loss if self._smooth is None else 0.6 * self._smooth + 0.4 * loss
        self._step = step
        if self._smooth < _GAIN * self._least:
            self._least, self._since = self._smooth, step

    @property
    def last(self) -> float:
        """The loss of late, smoothed; infinite where none was told."""
        return float("inf") if self._smooth is None else self._smooth

    @property
    def are_over(self) -> bool:
        """Whether nothing was gained for long."""
        return self._step - self._since >= max(_LEAST_STEPS, _SHARE * self._step)
