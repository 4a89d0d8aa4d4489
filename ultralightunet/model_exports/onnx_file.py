"""The network as one ONNX file: image in, logits out; any batch, any size that is a multiple of 32."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..architecture import STRIDE
from ..errors import ModelError
from ..models import Model
from ..networks import network_with

INPUT, OUTPUT = "image", "logits"
"""Names of the network's only input and output."""

_TOLERANCE = 1e-3
"""How far logits may differ, of two engines that are to give the same labels; of large logits, relative to them."""


def write_onnx(model: Model, path: Path) -> None:
    """Write `path`, after a look at whether another engine computes the same from it.

    Raises:
        ModelError: if the weights cannot be used, or the exported network computes something else.
        OSError: if it cannot be written.
    """
    network, other = (network_with(model.architecture, model.weights()) for _ in range(2))
    content = _converted(_to_convert(other), model)
    _check(content, network, model)
    path.write_bytes(content)


def facts_of(model: Model) -> dict[str, str]:
    """What a program must know to use the network, as ONNX keeps it: texts by name, JSON where it is more than a text."""
    # To the head, to the front and to the right.
    space = "S, A, R" if model.spatial_dims == 3 else "rows, columns"
    return {
        "name": model.name,
        "version": model.version,
        "title": model.title,
        "modality": model.modality,
        "licence": model.licence,
        "intended_use": model.intended_use,
        "classes": json.dumps([{"index": c.index, "name": c.name, "snomed": c.snomed} for c in model.classes]),
        "activation": "sigmoid" if model.architecture.out_channels == 1 else "softmax",
        "axes": f"batch, channel, {space}",
        "spacing": json.dumps(model.spacing),
        "size": json.dumps(model.size),
        "window": json.dumps(model.window),
        "whole": json.dumps(model.whole),
        "intensity": json.dumps(asdict(model.intensity)),
        "mirrored": json.dumps(model.mirrored),
        "keep_largest": json.dumps(model.keep_largest),
        "weights_sha256": model.sha256,
    }


class _SteadyInstanceNorm(nn.Module):
    """Instance norm out of plain operators: row means first, then their mean, then one multiplication and one addition.

    The operator of that name adds up a million voxels one by one in some runtimes and loses the last digits of the variance. Without
    the reshape between the two means, or with the mean subtracted from the image, OpenVINO puts that operator back in.
    """

    def __init__(self, norm: nn.Module, spatial_dims: int) -> None:
        super().__init__()
        shape = (-1, *(1,) * spatial_dims)
        self.spatial_dims = spatial_dims
        self.epsilon = float(norm.eps)  # type: ignore[arg-type]
        self.scale = nn.Parameter(norm.weight.detach().reshape(shape))  # type: ignore[operator]
        self.offset = nn.Parameter(norm.bias.detach().reshape(shape))  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *S) -> (N, C, *S)."""
        mean = self._mean(x)
        scale = torch.rsqrt(self._mean((x - mean) ** 2) + self.epsilon) * self.scale
        return x * scale + (self.offset - mean * scale)

    def _mean(self, x: Tensor) -> Tensor:
        return x.mean(-1).flatten(2).mean(-1)[(..., *(None,) * self.spatial_dims)]


def _to_convert(network: nn.Module) -> nn.Module:
    """Exchange, in place, what would convert badly."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ReLU6):
            # The same values, and a third less time to convert the network.
            module.inplace = False
        elif isinstance(module, nn.InstanceNorm2d | nn.InstanceNorm3d):
            parent, _, child = name.rpartition(".")
            dims = 2 if isinstance(module, nn.InstanceNorm2d) else 3
            setattr(network.get_submodule(parent), child, _SteadyInstanceNorm(module, dims))
    return network


def _converted(network: nn.Module, model: Model) -> bytes:
    import onnx

    dims = model.spatial_dims
    # A batch of two and unequal sides: torch takes a one, and what is equal, for fixed.
    example = torch.zeros(2, model.architecture.in_channels, *(STRIDE * n for n in (2, 3, 4)[:dims]))
    sides = {2 + axis: STRIDE * torch.export.Dim(letter) for axis, letter in enumerate("dhw"[-dims:])}
    shapes = {0: torch.export.Dim("batch"), **sides}
    with _quiet():
        program = torch.onnx.export(
            network, (example,), input_names=[INPUT], output_names=[OUTPUT], dynamic_shapes=(shapes,), dynamo=True, verbose=False
        )
    if program is None:
        raise ModelError(f"expected PyTorch {torch.__version__} to convert {model.id}, found that it gave nothing; install another version")
    graph = program.model_proto
    _forget_sources(graph)
    graph.producer_name, graph.producer_version = "UltraLight", ""
    graph.doc_string = f"{model.title}. {model.intended_use}".strip()
    onnx.helper.set_model_props(graph, facts_of(model))
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString()
    return content


def _forget_sources(graph: Any) -> None:
    """PyTorch notes with every operator from which line of which file it came, with the paths of this machine."""
    del graph.graph.metadata_props[:]
    for part in (*graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for function in graph.functions:
        for node in function.node:
            del node.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter talks of packages that this network does not need, and warns of its own doings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check(content: bytes, network: nn.Module, model: Model) -> None:
    """Run it in OpenVINO, at another batch and other sizes than those that it was converted at."""
    # First of all, because it keeps OpenVINO from reporting its use.
    from ..engines import openvino_engine  # noqa: F401, I001
    import openvino as ov

    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, model.architecture.in_channels, *(STRIDE * n for n in (3, 1, 2)[: model.spatial_dims])))
    image = image.astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    core = ov.Core()
    compiled = core.compile_model(core.read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([image])[0]
    difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ModelError(
            f"expected the exported network of {model.id} to give the logits of the model, found a difference of {difference:.2g}; "
            f"install another version of PyTorch than {torch.__version__} and export again"
        )
