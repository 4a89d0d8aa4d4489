"""UltraLightUNet and what reads the authors' weights; importing this imports torch."""

from .loading import network_with
from .official import convert_official_state_dict
from .ultralightunet import UltraLightUNet

__all__ = ["UltraLightUNet", "convert_official_state_dict", "network_with"]
