"""The command `ultralight`.

Exit codes: 0 done, 1 the input or model is at fault (one sentence on stderr), 2 wrong usage, 130 cancelled.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from ..errors import UltraLightError, brief
from . import bids, checkpoint, cohort, corrections, evaluate, export, export_model, models, prompt, retrain, segment, train, worklist

COMMANDS = (models, segment, cohort, bids, worklist, prompt, evaluate, corrections, retrain, train, export, checkpoint, export_model)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold what the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except UltraLightError as error:
        sys.stderr.write(f"ultralight: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("ultralight: cancelled\n")
        return 130
    except MemoryError:
        sys.stderr.write("ultralight: expected an image that fits into memory, found a larger one; close other programs or use --box\n")
        return 1
    except BrokenPipeError:
        # Whoever read our output has gone, `head` say.
        _discard_output()
        return 1
    except OSError as error:
        # Images and labels have their own errors; what is left is mostly the standard output itself, on a full disk say.
        sys.stderr.write(f"ultralight: expected to read and write without an obstacle, found {error}; free space or check permissions\n")
        _discard_output()
        return 1
    except Exception as error:  # noqa: BLE001 - the border: a person reads a sentence, and whoever mends it sets ULTRALIGHT_DEBUG
        frame = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(
            f"ultralight: expected to come to an end, found a fault in UltraLight ({type(error).__name__}: {brief(error)}, "
            f"at {Path(frame.filename).name}:{frame.lineno}); please report it with the command that you gave\n"
        )
        if os.environ.get("ULTRALIGHT_DEBUG"):
            traceback.print_exception(error)
        return 1


def _discard_output() -> None:
    """Without this Python complains once more while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
