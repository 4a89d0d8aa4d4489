"""The engine for CPUs: OpenVINO, on a graph that is built from the weights without torch."""

from __future__ import annotations

import sys
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models import Model
from ..models.registry import is_installed
from .compiled import cache_folder

# OpenVINO's Python package reports its use over the network where this module is found. With None here its import fails,
# and OpenVINO takes its own silent stand-in.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

from .openvino_graph import build_graph  # noqa: E402

_KEPT_SHAPES = 4
"""Compiled graphs kept at once: each belongs to one shape of input."""


class OpenVINOEngine:
    """See `Engine`. Single precision throughout, whatever the CPU would prefer."""

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Model, *, threads: int | None = None) -> None:
        self._architecture = model.architecture
        self._weights = {name: values.astype(np.float32) for name, values in model.weights().items()}
        self._core = ov.Core()
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or 0,
        }
        # A model that is gone in a moment, a candidate or one in a folder of its own, is not worth a place.
        if is_installed(model) and (folder := cache_folder()):
            self._options["CACHE_DIR"] = str(folder)
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
        graph = build_graph(self._architecture, self._weights, shape)
        compiled = self._core.compile_model(graph, "CPU", self._options)
        precision = compiled.get_property("INFERENCE_PRECISION_HINT")
        if precision != ov.Type.f32:
            raise RuntimeError(f"OpenVINO was asked for single precision and would compute in {precision}")
        return compiled
