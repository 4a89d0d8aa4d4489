"""The option `--max-memory`, the same for every command that reads images."""

from __future__ import annotations

import argparse

from ..io.limits import MULTIPLE, USUAL, parse_memory, set_max_memory


def add_max_memory(command: argparse.ArgumentParser) -> None:
    """Add the option; it takes effect when it is parsed, for this process and those that it starts."""
    command.add_argument(
        "--max-memory",
        type=_limit,
        metavar="SIZE",
        help="the most memory that one image may take when it is read, e.g. 8G "
        f"(default: {USUAL // 2**30}G, or {MULTIPLE} times the size of its file)",
    )


def _limit(text: str) -> int:
    try:
        set_max_memory(text)
        return parse_memory(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
