"""The kernels, compiled when they are first needed."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

OPTIONS = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC", "-std=c++17")


@cache
def compiled() -> ctypes.CDLL:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        raise OSError("expected a C++ compiler (g++), found none")
    # The compiler's own defaults and this processor decide what comes out, so it is made anew for every run.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernels.so"
        sources = sorted(str(path) for path in Path(__file__).parent.glob("*.cpp"))
        subprocess.run([compiler, *OPTIONS, "-o", str(target), *sources], check=True, capture_output=True)
        found = ctypes.CDLL(str(target))
    found.padded_size.restype = ctypes.c_int64
    return found


def call(name: str, *arguments: Any) -> None:
    """Run a kernel: tensors are handed over as pointers, whole numbers as 64 bits, and the number of threads at the end."""
    getattr(compiled(), name)(*(ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments), torch.get_num_threads())


def shape_of(x: Tensor) -> Any:
    """(N, D, H, W, C, whether it is a volume), as the kernels take it."""
    *size, channels = x.shape[2:], x.shape[1]
    spatial = size[0]
    return (ctypes.c_int64 * 6)(x.shape[0], *((1,) if x.ndim == 4 else ()), *spatial, channels, int(x.ndim == 5))


def last(x: Tensor) -> Tensor:
    """`x` in channels-last layout."""
    return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
