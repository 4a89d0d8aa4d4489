"""The border of `io/`: whatever a library raises over a file leaves it as one of our errors, in one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import errors


@contextmanager
def only_our_errors(path: Path, what: str = "an image") -> Iterator[None]:
    """As `errors.only_our_errors`, and no library's warnings either.

    Args:
        path: that is read.
        what: is expected there, for the sentence.

    Raises:
        InputError: in place of any other exception.
    """
    with errors.only_our_errors(path, what), warnings.catch_warnings():
        # What the libraries find odd in a header is checked where it matters.
        warnings.simplefilter("ignore")
        yield
