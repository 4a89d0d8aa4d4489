"""One slice, 2D-B at 3x256x256, against MONAI's networks: `python benchmarks/slice.py`."""

from __future__ import annotations

from measuring import options  # isort: skip - puts the repository on the path
from one_input import OURS, compare
from peers import PEERS_2D

WANTED = {OURS: "at most 12 ms", "UltraLightUNet, eager PyTorch": "about 5 (62 ms against 12)"}

if __name__ == "__main__":
    compare("One slice, 2D-B", (1, 3, 256, 256), "B", 2, PEERS_2D, WANTED, options(__doc__ or "", repeats=15))
