"""The engine for CPUs: OpenVINO, on a graph that is built from the weights without torch."""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models import Model
from ..models.registry import is_installed
from ..plain_locale import plain_locale
from . import compiled

# OpenVINO's Python package reports its use over the network where this module is found. With None here its import fails,
# and OpenVINO takes its own silent stand-in.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

from .openvino_graph import build_graph  # noqa: E402

logger = logging.getLogger(__name__)

_KEPT_SHAPES = 4
"""Compiled graphs kept at once: each belongs to one shape of input."""


class OpenVINOEngine:
    """See `Engine`. Single precision throughout, whatever the CPU would prefer."""

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Model, *, threads: int | None = None) -> None:
        self._architecture = model.architecture
        self._weights = {name: values.astype(np.float32) for name, values in model.weights().items()}
        with plain_locale():
            self._core = ov.Core()
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or 0,
        }
        self._model = model
        # A model that is gone in a moment, a candidate or one in a folder of its own, is not worth a place on the disk.
        self._is_kept = is_installed(model)
        self._compiled: OrderedDict[tuple[int, ...], Future[ov.CompiledModel]] = OrderedDict()
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="compiling")

    def prepare(self, shape: tuple[int, ...]) -> None:
        """See `Engine`. Compiling takes half a second of one core, and Python may go on meanwhile."""
        self._for_shape(shape)

    def __call__(self, batch: NDArray[Any]) -> NDArray[Any]:
        """See `Engine`."""
        request = self._for_shape(batch.shape).result().create_infer_request()
        # OpenVINO writes into our array: its own would have to be copied before the next window.
        logits = np.empty((batch.shape[0], self._architecture.out_channels, *batch.shape[2:]), np.float32)
        request.set_output_tensor(ov.Tensor(logits, shared_memory=True))
        request.infer([np.ascontiguousarray(batch, dtype=np.float32)])
        return logits

    def _for_shape(self, shape: tuple[int, ...]) -> Future[ov.CompiledModel]:
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        self._compiled[shape] = self._compiler.submit(self._compile, shape)
        while len(self._compiled) > _KEPT_SHAPES:
            self._compiled.popitem(last=False)
        return self._compiled[shape]

    def _compile(self, shape: tuple[int, ...]) -> ov.CompiledModel:
        # A kept network has its numbers as text: under a decimal comma OpenVINO would read others, and label with them.
        with plain_locale():
            network = self._loaded(shape) if self._is_kept else self._built(shape)
        precision = network.get_property("INFERENCE_PRECISION_HINT")
        if precision != ov.Type.f32:
            raise RuntimeError(f"OpenVINO was asked for single precision and would compute in {precision}")
        return network

    def _built(self, shape: tuple[int, ...]) -> ov.CompiledModel:
        return self._core.compile_model(build_graph(self._architecture, self._weights, shape), "CPU", self._options)

    def _loaded(self, shape: tuple[int, ...]) -> ov.CompiledModel:
        """As `_built`, from the disk where one was kept."""
        processor = (str(self._core.get_property("CPU", name)) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES"))
        key = compiled.made_from(self._model, shape, ov.__version__, *processor, repr(sorted(self._options.items())))
        blob = compiled.load(key)
        if blob is not None:
            try:
                return self._core.import_model(blob, "CPU", self._options)
            except RuntimeError as error:
                logger.warning("a compiled network cannot be read, it is made anew: %s", error)
        network = self._built(shape)
        compiled.keep(key, network.export_model().getvalue())
        return network
