"""The reference engine: the PyTorch network itself, on a CPU or a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..models import Model
from ..networks import network_with


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
        self._network = network_with(model.architecture, model.weights()).to(device)

    def prepare(self, shape: tuple[int, ...]) -> None:
        """See `Engine`; there is nothing to do."""

    def __call__(self, batch: NDArray[Any]) -> NDArray[Any]:
        """See `Engine`."""
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            torch.backends.cuda.matmul.allow_tf32 = False
            logits = self._network(torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32)).to(self.device))
            result: NDArray[Any] = logits.cpu().numpy()
            return result
