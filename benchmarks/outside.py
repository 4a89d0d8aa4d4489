"""deepbet, the outside peer for the brain mask, in a folder of its own: its packages there, PyTorch and nibabel from this environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs

DEEPBET = "deepbet==1.0.2"

_BESIDE = ("fill-voids==2.1.2", "connected-components-3d==4.1.1", "fastremap==1.21.0")
"""What it needs that this project does not."""

_CODE = """
import sys, types
sys.path.insert(0, {site!r})
# Its window is not opened, and a machine without Tk has none.
sys.modules["customtkinter"] = types.ModuleType("customtkinter")
import torch
torch.set_num_threads({threads})
from deepbet.bet import run_bet
run_bet({images!r}, mask_paths={masks!r}, no_gpu=True)
"""


def installed() -> Path | str:
    """The folder that deepbet is installed in, made with pip at the first call; why not, where that fails."""
    folder = platformdirs.user_cache_path("ultralight-benchmarks", appauthor=False) / f"{DEEPBET.replace('==', '-')}-packages"
    ready = folder / "ready"
    try:
        if not ready.exists():
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(folder), DEEPBET, *_BESIDE]
            subprocess.run(command, check=True, capture_output=True, text=True)
            ready.touch()
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        return said[-1] if said else "it could not be installed"
    return folder


def command(site: Path, images: Sequence[Path], masks: Sequence[Path], threads: int) -> list[str]:
    """The command line that writes a mask of each NIfTI image."""
    code = _CODE.format(site=str(site), threads=threads, images=[str(p) for p in images], masks=[str(p) for p in masks])
    return [sys.executable, "-c", code]
