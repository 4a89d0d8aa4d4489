"""A model's network in torch, in single precision, ready to run."""

from __future__ import annotations

import numpy as np
import torch

from ..models import Model
from ..networks import UltraLightUNet


def network_of(model: Model) -> UltraLightUNet:
    """The network with the model's weights, for evaluation.

    Raises:
        ModelError: if the weights cannot be used.
    """
    network = UltraLightUNet(**model.architecture.to_dict()).eval()
    state = {name: torch.from_numpy(values.astype(np.float32)) for name, values in model.weights().items()}
    # A model does not store the counters of batch norm, which play no part in evaluation.
    network.load_state_dict({**network.state_dict(), **state})
    return network
