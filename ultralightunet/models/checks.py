"""Whether a model's facts hang together: found out when a folder is read or written, not in the middle of a segmentation."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .facts import Model

_NAME = re.compile(r"\w([\w .+-]*[\w+-])?")
_VERSION = re.compile(r"\w[\w.+-]*")

# Far beyond any model of use; beyond them a folder of a few kilobytes could take all memory.
_MOST_CHANNELS = 4096
_MOST_IN_WINDOW = 2**31
_LARGEST_SIDE = 16384
_LARGEST_WHOLE = 64


def check_facts(model: Model) -> None:
    """Look at every fact that a computation or a path is made of.

    Raises:
        ValueError: saying what is wrong.
    """
    _check_identity(model)
    _check_network(model)
    _check_grid(model)
    _check_intensity(model)


def is_name(text: str) -> bool:
    """Whether a folder may be called so; a name like "../x" would lead out of the place where it is made."""
    return bool(_NAME.fullmatch(text))


def _check_identity(model: Model) -> None:
    # Both become folders of the user's models.
    if not is_name(model.name):
        raise ValueError(f"the name {model.name!r} is not made of letters, digits and . _ + -")
    if not _VERSION.fullmatch(model.version) or model.version == "current":
        raise ValueError(f"the version {model.version!r} is not made of letters, digits and . _ + -")


def _check_network(model: Model) -> None:
    network = model.architecture
    if network.spatial_dims not in (2, 3) or network.norm not in ("batch", "instance"):
        raise ValueError(f"no such architecture: {network}")
    if len(network.channels) != 5 or min(network.channels) < 2 or network.in_channels < 1 or network.out_channels < 1:
        raise ValueError(f"no such architecture: {network}")
    if max(*network.channels, network.in_channels, network.out_channels) > _MOST_CHANNELS:
        raise ValueError(f"more than {_MOST_CHANNELS} channels in {network}")
    indices = [c.index for c in model.classes]
    if indices != list(range(max(2, network.out_channels))):
        raise ValueError(f"{network.out_channels} output channels do not fit the classes {indices}")
    if any(len(c.color) != 3 or not all(0 <= v <= 255 for v in c.color) for c in model.classes):
        raise ValueError("a class's color is not three numbers from 0 to 255")
    if not {index for group in model.keep_largest for index in group} <= set(indices):
        raise ValueError(f"keep_largest {model.keep_largest} names classes that there are not")
    if not set(model.plausible_ml) <= set(indices) or not all(0 <= low < high for low, high in model.plausible_ml.values()):
        raise ValueError(f"plausible_ml {dict(model.plausible_ml)} does not give the least and the most of classes that there are")


def _check_grid(model: Model) -> None:
    dims = model.spatial_dims
    if len(model.window) != dims or any(v < 32 or v % 32 for v in model.window):
        raise ValueError(f"the window {model.window} is not {dims} multiples of 32")
    if math.prod(model.window) * (model.architecture.in_channels + model.architecture.out_channels) > _MOST_IN_WINDOW:
        raise ValueError(f"the window {model.window} is more than a computer can see at once")
    if model.spacing is not None and (len(model.spacing) != dims or not all(0 < v < math.inf for v in model.spacing)):
        raise ValueError(f"the spacing {model.spacing} is not {dims} sizes in mm above zero")
    if model.size is not None and not all(0 < v <= _LARGEST_SIDE for v in model.size):
        raise ValueError(f"the size {model.size} is not two numbers of pixels from 1 to {_LARGEST_SIDE}")
    if len(set(model.mirrored)) < len(model.mirrored) or not set(model.mirrored) <= set(range(dims)):
        raise ValueError(f"mirrored {model.mirrored} are not axes from 0 to {dims - 1}, each once")
    if not 0 <= model.whole <= _LARGEST_WHOLE:
        raise ValueError(f"whole is {model.whole}, not a number of million voxels up to {_LARGEST_WHOLE}")


def _check_intensity(model: Model) -> None:
    rule = model.intensity
    if rule.rule not in ("percentile", "window", "scale"):
        raise ValueError(f"unknown intensity rule {rule.rule!r}")
    if not -math.inf < rule.low < rule.high < math.inf or (rule.rule == "percentile" and not 0 <= rule.low < rule.high <= 100):
        raise ValueError(f"the intensity range from {rule.low} to {rule.high} is none")
    if not {len(rule.mean), len(rule.std)} <= {1, model.architecture.in_channels}:
        raise ValueError(f"mean and std of the intensity are neither one value nor {model.architecture.in_channels}, one a channel")
    if not all(math.isfinite(v) for v in rule.mean) or not all(0 < v < math.inf for v in rule.std):
        raise ValueError("mean and std of the intensity are not numbers, or a std is zero")
