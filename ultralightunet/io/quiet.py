"""Libraries that tell of what they find wrong in ways of their own, beside our sentence."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Drop what a library logs meanwhile: hosts and the command line show every warning."""
    logger, here = logging.getLogger(name), threading.get_ident()

    def is_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger.addFilter(is_elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(is_elsewhere)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep everything off stderr, of this process and all its threads: for the moment in which a picture is unpacked."""
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(2)
        except OSError:
            # A program without a terminal has none.
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
