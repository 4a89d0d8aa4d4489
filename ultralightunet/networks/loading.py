"""The network of a model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..architecture import Architecture
from .ultralightunet import UltraLightUNet


def network_with(architecture: Architecture, weights: Mapping[str, NDArray[Any]]) -> UltraLightUNet:
    """A network in evaluation, in single precision, that shares no memory with `weights`.

    Args:
        architecture: of the network.
        weights: by the names of `Architecture.parameter_shapes`, in any floating-point type.
    """
    network = UltraLightUNet(**architecture.to_dict()).eval()
    state = {name: torch.from_numpy(values.astype(np.float32)) for name, values in weights.items()}
    # A model does not store the counters of batch norm, which play no part in evaluation.
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    network.load_state_dict({**counters, **state})
    return network
