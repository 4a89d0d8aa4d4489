"""Numbers and letters as the C language has them, for one thread, whatever language its process speaks.

Qt sets the locale of the whole process from the environment, and Python that of letters. Libraries written in C then read "0.5" as 0 under
German and find that "EXPLICIT" is not "explicit" under Turkish. The process is the host's, so its locale is left alone: what must not
depend on it runs inside `plain_locale`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_ALL_CATEGORIES = {"linux": 0x1FBF, "darwin": 0x3F}
"""LC_ALL_MASK of glibc and musl, and of macOS. Elsewhere Qt and Python leave these two categories as they are in C."""


@contextmanager
def plain_locale() -> Iterator[None]:
    """Let this thread be in the C locale inside; other threads, those that it starts among them, stay as they are."""
    locale, library = _c_locale()
    if library is None:
        yield
        return
    before = library.uselocale(locale)
    try:
        yield
    finally:
        library.uselocale(before)


@cache
def _c_locale() -> tuple[int | None, ctypes.CDLL | None]:
    """A handle of the C locale, which lives as long as the process, and the library that knows it."""
    mask = _ALL_CATEGORIES.get(sys.platform)
    if mask is None:
        return None, None
    library = ctypes.CDLL(None)
    for function in (library.newlocale, library.uselocale):
        function.restype = ctypes.c_void_p
    library.newlocale.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    library.uselocale.argtypes = (ctypes.c_void_p,)
    locale = library.newlocale(mask, b"C", None)
    return (locale, library) if locale else (None, None)
