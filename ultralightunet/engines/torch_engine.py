"""The reference engine: the PyTorch network itself, on a CPU or a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..models import Model
from ..networks import UltraLightUNet


class TorchEngine:
    """See `Engine`. "auto" takes CUDA or Apple's GPU where there is one."""

    name = "torch"

    def __init__(self, model: Model, *, device: str = "auto", threads: int | None = None) -> None:
        found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        if device == "auto":
            device = next(name for name, there in found.items() if there)
        if not found[device]:
            raise InputError(f"expected a {device} device, found none that PyTorch can use; choose the device cpu")
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = device
        architecture = model.architecture.to_dict()
        self._network = UltraLightUNet(**architecture).eval()
        state = {name: torch.from_numpy(values.astype(np.float32)) for name, values in model.weights().items()}
        # The batch counters of batch norm are not stored: they play no part in evaluation.
        self._network.load_state_dict({**_counters(self._network), **state})
        self._network.to(device)

    def prepare(self, shape: tuple[int, ...]) -> None:
        """See `Engine`; there is nothing to do."""

    def __call__(self, batch: NDArray[Any]) -> NDArray[Any]:
        """See `Engine`."""
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            torch.backends.cuda.matmul.allow_tf32 = False
            logits = self._network(torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32)).to(self.device))
            result: NDArray[Any] = logits.cpu().numpy()
            return result


def _counters(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
