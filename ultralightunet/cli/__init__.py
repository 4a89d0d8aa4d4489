"""The command `ultralight`.

Exit codes: 0 done, 1 the input or model is at fault (one sentence on stderr), 2 wrong usage, 130 cancelled.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from ..errors import UltraLightError
from . import checkpoint, evaluate, models, segment

COMMANDS = (models, segment, evaluate, checkpoint)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        code: int = options.run(options)
        return code
    except UltraLightError as error:
        sys.stderr.write(f"ultralight: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("ultralight: cancelled\n")
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone, `head` say; without this Python complains once more while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from .. import __version__

    top = argparse.ArgumentParser(
        prog="ultralight", description="Segment medical images on an ordinary computer. For research use only; not a medical device."
    )
    top.add_argument("--version", action="version", version=f"ultralight {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return top
