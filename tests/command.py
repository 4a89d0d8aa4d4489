"""The command `ultralight`, run in the process of the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Outcome]


def sentence(outcome: Outcome) -> str:
    """The one line that was said about what is wrong."""
    assert outcome.code == 1, outcome
    assert outcome.err.startswith("ultralight: "), outcome
    assert outcome.err.count("\n") == 1, outcome
    assert outcome.out == "", outcome
    return outcome.err
