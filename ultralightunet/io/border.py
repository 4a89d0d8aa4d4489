"""The border of `io/`: whatever a library raises over a file leaves it as one of our errors, in one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, UltraLightError


@contextmanager
def only_our_errors(path: Path, what: str = "an image") -> Iterator[None]:
    """Let only our errors out of what reads the file or folder at `path`, each with the path in it, and no library's warnings.

    Args:
        path: that is read.
        what: is expected there, for the sentence.

    Raises:
        InputError: in place of any other exception.
    """
    shown = _one_line(str(path))
    try:
        with warnings.catch_warnings():
            # What the libraries find odd in a header is checked where it matters.
            warnings.simplefilter("ignore")
            yield
    except UltraLightError as error:
        # A file's name may hold line breaks.
        sentence = _one_line(str(error))
        sentence = sentence if shown in sentence else f"{shown}: {sentence}"
        if sentence == str(error):
            raise
        raise type(error)(sentence) from error
    except MemoryError as error:
        raise InputError(
            f"expected {what} that fits into memory, found a larger one or a damaged header in {shown}; "
            "crop or mend it, or close other programs"
        ) from error
    except OSError as error:
        reason = error.strerror or brief(error)
        raise InputError(
            f"expected {what} that can be read, found an obstacle at {shown}: {reason}; check its permissions, or copy it again"
        ) from error
    except Exception as error:
        # Broad, because this is the border: readers meet files of strangers, and libraries raise anything over them.
        raise InputError(f"expected {what}, found a damaged or other file {shown} ({brief(error)}); copy or export it again") from error


def brief(error: BaseException) -> str:
    """What an error says in its last line, without a line break; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
