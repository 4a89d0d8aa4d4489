"""Checkpoints as the authors' code writes them, and one that would run code."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_THEIRS = (
    (r"encoder\.(\d)\.", "encoder{}.0."),
    (r"decoder\.(\d)\.block\.", "decoder{}.0."),
    (r"decoder\.(\d)\.channel_attention\.", "CA{}."),
    (r"gates\.(\d)\.", "AG{}."),
    (r"spatial_attention\.()", "SA."),
    (r"head\.()", "out4."),
)

_PARTS = {
    "expand.": "pconv1.",
    "depthwise.branches.": "multi_scale_dwconv.dwconvs.",
    "project.": "pconv2.",
    "residual.": "conv1x1.",
    "squeeze.": "fc1.",
    "excite.": "fc2.",
    "gate.": "W_g.",
    "skip.": "W_x.",
    "attend.": "psi.",
}


def their_name(name: str) -> str:
    """Our parameter name -> the authors'."""
    for pattern, stage in _THEIRS:
        if match := re.match(pattern, name):
            rest = name[match.end() :]
            part = next((p for p in _PARTS if rest.startswith(p)), "")
            return stage.format(int(match[1]) + 1 if match[1] else "") + (_PARTS[part] + rest.removeprefix(part) if part else rest)
    raise AssertionError(name)


class Opener:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)
