"""What runs the network: a batch of patches in, logits out. OpenVINO on a CPU, torch on a GPU; the labels are the same."""

from .base import DEVICES, ENGINES, Engine, make_engine
from .mirrored import Mirrored, mirrorings

__all__ = ["DEVICES", "ENGINES", "Engine", "Mirrored", "make_engine", "mirrorings"]
