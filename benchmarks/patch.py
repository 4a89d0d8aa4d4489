"""One patch, 3D-M at 1x96x96x96, against MONAI's networks: `python benchmarks/patch.py`."""

from __future__ import annotations

from measuring import options  # isort: skip - puts the repository on the path
from one_input import compare
from peers import PEERS_3D

WANTED = {
    "UltraLightUNet, eager PyTorch": "at least 7",
    "DynUNet, eager PyTorch": "at least 15",
    "DynUNet, OpenVINO": "at least 8",
    "SwinUNETR, eager PyTorch": "at least 40",
}

if __name__ == "__main__":
    found = options(__doc__ or "")
    compare("One patch, 3D-M", (1, 1, *(64 if found.quick else 96,) * 3), "M", 4, PEERS_3D, WANTED, found)
