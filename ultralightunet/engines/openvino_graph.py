"""UltraLightUNet as an OpenVINO graph, built from its weights.

The arithmetic is that of `networks.UltraLightUNet`; it is arranged anew where that is quicker, exactly but for rounding:

- batch norm is folded into the convolution before it, the channel shuffle into the order of the point-wise convolution's inputs, and a
  1x1 depth-wise convolution into a factor per channel;
- the first block works on blocks of the volume as channels (`openvino_stem`);
- a grouped convolution with one output per group is a depth-wise convolution whose channels are added up group by group, and sums of
  two such can be taken before that;
- the large kernel of spatial attention runs over planes as channels (`_Builder.large_kernel`);
- channel attention excites the sum of its two pooled vectors, because that layer is linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from ..architecture import KERNEL_SIZES, Architecture, shuffle_groups
from .openvino_layers import Array, Layers, relu6, shape_of
from .openvino_norms import folded, instance_norm
from .openvino_stem import Stem, stem_blocks

_PLANES = (16, 12, 8)
"""How many planes of spatial attention are computed together, the first that divides their number."""

_WORTHWHILE = 20_000
"""Values below which spatial attention is computed as it is written."""


def build_graph(architecture: Architecture, weights: Mapping[str, Array], shape: tuple[int, ...]) -> ov.Model:
    """The network for inputs of one shape.

    Args:
        architecture: of the network.
        weights: float32, by the names of `Architecture.parameter_shapes`.
        shape: of the input, (N, C, *S), sides multiples of 32.
    """
    return _Builder(architecture, weights).build(shape)


class _Builder:
    def __init__(self, architecture: Architecture, weights: Mapping[str, Array]) -> None:
        self.architecture = architecture
        self.weights = weights
        self.layers = Layers(architecture.spatial_dims)

    def build(self, shape: tuple[int, ...]) -> ov.Model:
        image = ops.parameter(list(shape), np.float32, name="image")
        encoder, decoder = self.architecture.stages
        x: Any = image
        skips = []
        for number, widths in enumerate(encoder):
            x = self.encode(x, number, *widths)
            skips.append(x)
        skips.pop()
        for number, widths in enumerate(decoder):
            x = self.channel_attention(x, f"decoder.{number}.channel_attention")
            x = self.spatial_attention(x)
            x = ops.relu(self.layers.up(self.block(x, f"decoder.{number}.block", *widths)))
            if skips:
                x = ops.add(x, self.gate(x, skips.pop(), f"gates.{number}"))
        logits = self.layers.convolution(x, self.weights["head.weight"], self.weights["head.bias"])
        graph = ov.Model([logits], [image], "UltraLightUNet")
        for number, operator in enumerate(graph.get_ordered_ops()):
            # By default a running number of the process; compiled networks are known again by their names, too.
            operator.set_friendly_name(f"{operator.get_type_name()}_{number}")
        graph.outputs[0].get_tensor().set_names({"logits"})
        return graph

    def encode(self, x: Any, number: int, width_in: int, width_out: int) -> Any:
        if number == 0 and stem_blocks(self.architecture) > 1:
            return Stem(self.layers, self.architecture, self.weights, self.projection("encoder.0", width_out))(x)
        return self.layers.max_pool(self.block(x, f"encoder.{number}", width_in, width_out))

    def block(self, x: Any, name: str, width_in: int, width_out: int) -> Any:
        hidden = relu6(self.conv_norm(x, f"{name}.expand.0", f"{name}.expand.1"))
        prefixes = [f"{name}.depthwise.branches.{branch}" for branch in range(len(KERNEL_SIZES))]
        outs = [relu6(self.conv_norm(hidden, f"{prefix}.0", f"{prefix}.1", depthwise=True)) for prefix in prefixes]
        total = ops.add(ops.add(outs[0], outs[1]), outs[2])
        projected = self.conv_norm(total, f"{name}.project.0", f"{name}.project.1", weight=self.projection(name, width_out))
        residual = x if width_in == width_out else self.layers.convolution(x, self.weights[f"{name}.residual.weight"])
        return ops.add(residual, projected)

    def projection(self, name: str, width_out: int) -> Array:
        """The weights that do to the hidden channels what a block's last convolution does to them after their shuffle."""
        weight = self.weights[f"{name}.project.0.weight"]
        channels = weight.shape[1]
        # Shuffled channel n is channel order[n]; so the weight for order[n] is the one that the shuffled n would meet.
        order = np.arange(channels).reshape(shuffle_groups(channels, width_out), -1).T.ravel()
        return weight[:, np.argsort(order)]

    def channel_attention(self, x: Any, name: str) -> Any:
        pooled = (ops.reduce_mean(x, self.layers.axes, True), ops.reduce_max(x, self.layers.axes, True))
        squeeze, excite = self.weights[f"{name}.squeeze.weight"], self.weights[f"{name}.excite.weight"]
        average, maximum = (ops.relu(self.layers.convolution(p, squeeze)) for p in pooled)
        return ops.multiply(x, ops.sigmoid(self.layers.convolution(ops.add(average, maximum), excite)))

    def spatial_attention(self, x: Any) -> Any:
        channel_axis = np.array([1], dtype=np.int64)
        statistics = ops.concat([ops.reduce_mean(x, channel_axis, True), ops.reduce_max(x, channel_axis, True)], 1)
        return ops.multiply(x, ops.sigmoid(self.large_kernel(statistics, self.weights["spatial_attention.conv.weight"])))

    def large_kernel(self, x: Any, weight: Array) -> Any:
        """A convolution of few channels to one, with several planes along the first spatial axis computed together, as channels.

        A processor computes many output channels at the cost of one. Output plane p sees the input planes p to p + 6 of its block and
        none of the others, whose weights are zero.
        """
        batch, channels, depth, *plane = shape_of(x)
        together = next((n for n in _PLANES if depth % n == 0), 0)
        if self.layers.dims == 2 or not together or prod(plane) * depth < _WORTHWHILE:
            return self.layers.convolution(x, weight)
        size = weight.shape[2]
        padded = self.layers.pad_first(x, size // 2)
        starts = range(0, depth, together)
        blocks = [self.layers.cut(padded, 2, start, start + together + size - 1) for start in starts]
        merged = np.array([batch, channels * (together + size - 1), *plane])
        stacked = ops.concat([ops.reshape(block, merged, False) for block in blocks], 0)
        banded = np.zeros((together, channels, together + size - 1, *weight.shape[3:]), np.float32)
        for p in range(together):
            banded[p, :, p : p + size] = weight[0]
        y = Layers(len(plane)).convolution(stacked, banded.reshape(together, -1, *weight.shape[3:]))
        # (blocks * N, planes, ...) -> (N, 1, depth, ...)
        parts = ops.split(y, 0, len(blocks)).outputs() if batch > 1 else [y]
        if batch > 1:
            y = ops.concat(parts, 1)
        return ops.reshape(y, np.array([batch, 1, depth, *plane]), False)

    def gate(self, gate: Any, skip: Any, name: str) -> Any:
        sides = ((gate, f"{name}.gate"), (skip, f"{name}.skip"))
        inner, per_group = self.weights[f"{name}.gate.0.weight"].shape[:2]
        ones = self.layers.ones_per_axis()
        groups = np.repeat(np.eye(inner, dtype=np.float32), per_group, 1).reshape(inner, inner * per_group, *ones)
        if self.architecture.norm == "instance":
            # A bias would be taken away again with the mean.
            each = [self.layers.convolution(self.layers.depthwise(x, self.kernels(f"{side}.0")), groups) for x, side in sides]
            first, second = (
                instance_norm(self.layers, x, self.weights[f"{side}.1.weight"], self.weights[f"{side}.1.bias"])
                for x, (_, side) in zip(each, sides, strict=True)
            )
            both = ops.add(first, second)
        else:
            (scale, offset), (other_scale, other_offset) = (folded(self.weights, f"{side}.0", f"{side}.1") for _, side in sides)
            first, second = (
                self.layers.depthwise(x, self.kernels(f"{side}.0", factors))
                for (x, side), factors in zip(sides, (scale, other_scale), strict=True)
            )
            both = self.layers.convolution(ops.add(first, second), groups, offset + other_offset)
        attention = self.conv_norm(ops.relu(both), f"{name}.attend.0", f"{name}.attend.1")
        return ops.multiply(skip, ops.sigmoid(attention))

    def kernels(self, conv: str, factors: Array | None = None) -> Array:
        """A grouped convolution's weights as one kernel per input channel, (C, 1, *K), times a factor per group."""
        weight = self.weights[f"{conv}.weight"]
        if factors is not None:
            weight = weight * factors.reshape(-1, *(1,) * (weight.ndim - 1))
        return weight.reshape(-1, 1, *weight.shape[2:])

    def conv_norm(self, x: Any, conv: str, norm: str, *, depthwise: bool = False, weight: Array | None = None) -> Any:
        """A convolution and the norm after it; `weight` takes the place of the stored one."""
        weight = self.weights[f"{conv}.weight"] if weight is None else weight
        convolve = self.layers.depthwise if depthwise else self.layers.convolution
        if self.architecture.norm == "instance":
            # A bias would be taken away again with the mean.
            return instance_norm(self.layers, convolve(x, weight), self.weights[f"{norm}.weight"], self.weights[f"{norm}.bias"])
        scale, offset = folded(self.weights, conv, norm)
        return convolve(x, weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)), offset)
