"""The protocol of an engine, and the choice of one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

from numpy.typing import NDArray

from ..errors import InputError
from ..models import Model

ENGINES = ("auto", "openvino", "torch")
"""What can be asked for to run a network."""

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What can be asked for to run it on."""


class Engine(Protocol):
    """Runs one model.

    Attributes:
        name: "openvino" or "torch".
        device: "cpu", "cuda" or "mps".

    Example:
        >>> import numpy as np
        >>> from ultralightunet import load_model
        >>> from ultralightunet.engines import make_engine
        >>> engine = make_engine(load_model("breast-lesion"))
        >>> engine.name, engine.device
        ('openvino', 'cpu')
        >>> engine(np.zeros((1, 3, 64, 96), np.float32)).shape
        (1, 1, 64, 96)
    """

    name: str
    device: str

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Begin to get ready for batches of a shape, and return at once; a call does what was not begun."""
        ...

    def __call__(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Patches (N, C, *S) float32, sides multiples of 32 -> logits (N, K, *S) float32."""
        ...


def make_engine(model: Model, *, engine: str = "auto", device: str = "auto", threads: int | None = None) -> Engine:
    """The engine for `model`. "auto" takes OpenVINO on the CPU, or torch where a GPU is asked for.

    Args:
        model: its weights are read and checked here.
        engine: one of `ENGINES`.
        device: one of `DEVICES`; "auto" is the CPU, because finding a GPU takes longer than this network does on the CPU.
        threads: of the CPU, None for all.

    Raises:
        InputError: if the engine or the device is not to be had here.
        ModelError: if the weights cannot be used.

    Example:
        >>> from ultralightunet import load_model
        >>> from ultralightunet.engines import make_engine
        >>> make_engine(load_model("breast-lesion"), engine="torch", threads=1).name
        'torch'
    """
    if engine not in ENGINES or device not in DEVICES:
        raise InputError(
            f"expected an engine of {', '.join(ENGINES)} and a device of {', '.join(DEVICES)}, found {engine!r} and {device!r}"
        )
    if threads is not None and threads < 1:
        raise InputError(f"expected at least one thread, found {threads}; leave the number out to use all")
    if engine == "auto":
        engine = "torch" if device in ("cuda", "mps") else "openvino"
    if engine == "openvino":
        if device in ("cuda", "mps"):
            raise InputError(f"expected the device cpu for the engine openvino, found {device}; choose the engine torch for a GPU")
        from .openvino_engine import OpenVINOEngine

        return OpenVINOEngine(model, threads=threads)
    if find_spec("torch") is None:
        raise InputError(
            "expected PyTorch for this engine or device, found none installed; "
            "install it (pip install 'napari-ultralight[train]') or choose the device cpu"
        )
    from .torch_engine import TorchEngine

    return TorchEngine(model, device=device, threads=threads)
