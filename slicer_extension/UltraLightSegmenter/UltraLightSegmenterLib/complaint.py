"""What a process that ended left on its standard error: the line that says why, among many that say where."""

from __future__ import annotations

import re

_REASON = re.compile(r"^([\w.]+(Error|Exception|Interrupt|Exit)\b|Fatal Python error|terminate called|what\(\):|Segmentation fault|Killed)")

_NO_REASON = re.compile(r"^(<|File |Thread |Current thread |Extension modules|Traceback|During handling|The above exception|[~^\s]*$)")

KEPT_LINES = 200
"""Of the end of what was said; a traceback is shorter."""


def reason(text: str) -> str:
    """The last line that names an error, else the last that says something, else ""."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # An error raised on the way is a better reason than how the interpreter ended because of it.
    named = [line for line in lines if _REASON.match(line) and not line.startswith("Fatal")]
    fatal = [line for line in lines if _REASON.match(line)]
    said = [line for line in lines if not _NO_REASON.match(line)]
    return (named or fatal or said or [""])[-1]


def kept(text: str) -> str:
    """The end of what was said, for the log."""
    return "\n".join(text.strip().splitlines()[-KEPT_LINES:])
