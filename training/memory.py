"""Keeps freed memory at hand on Linux, where each tensor above 32 MB is otherwise handed back to the system and fetched anew, zeroed."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
"""Settings of glibc's allocator, as its `malloc.h` numbers them. Threads with heaps of their own hand them back whatever the rest says."""

_NEVER = -1
"""As a threshold: larger than any size."""

_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _ARENA_MAX: 1}

_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26, _ARENA_MAX: 8 * (os.cpu_count() or 1)}
"""What glibc arrives at by itself once it has seen large tensors."""


def keep_freed_memory(keep: bool = True) -> bool:
    """Keep what this process frees, or go back to the usual: a training step at 352x352 is a quarter quicker.

    The process grows to its largest size and stays there, so this is for one that trains and does nothing else.

    Returns:
        Whether the allocator could be told: only glibc's can.
    """
    library = ctypes.util.find_library("c") if sys.platform == "linux" else None
    mallopt = getattr(ctypes.CDLL(library), "mallopt", None) if library else None
    return mallopt is not None and all(mallopt(name, value) for name, value in (_KEPT if keep else _USUAL).items())
