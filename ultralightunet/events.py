"""What long work reports: it is a generator of these frozen events that ends in a return value; closing it cancels."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of a stage are finished.

    Attributes:
        stage: what is being done, to be shown to a person, e.g. "Segmenting".
        done: finished units, 0 at the start of a stage.
        total: units of this stage.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Epoch:
    """A stretch of training is finished.

    Attributes:
        step: optimiser steps done so far.
        steps: optimiser steps of the whole training.
        loss: mean training loss of this stretch.
        scores: validation scores by name, empty where none were computed.
        seconds: wall-clock time of this stretch.
    """

    step: int
    steps: int
    loss: float
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Version:
    """A training has written a model that can be used; a better one may follow.

    Attributes:
        number: 1 for the first.
        folder: of the model; it stays there until the training ends.
        scores: of it by name, empty where none were computed.
        seconds: since the training began.
    """

    number: int
    folder: str
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Note:
    """Something that a person should know, and that stops nothing.

    Attributes:
        sentence: to be shown.
    """

    sentence: str


def finish(work: Generator[Any, None, Result], on_event: Callable[[Any], None] | None = None) -> Result:
    """Run `work` to its end, hand each event to `on_event`, and return its result."""
    try:
        while True:
            event = next(work)
            if on_event is not None:
                on_event(event)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        work.close()
