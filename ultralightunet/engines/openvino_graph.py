"""UltraLightUNet as an OpenVINO graph, built from its weights.

The same arithmetic as `networks.UltraLightUNet`, with what can be computed beforehand folded into the weights, exactly but for
rounding: batch norm into the convolution before it, the channel shuffle into the order of the point-wise convolution's inputs,
and a 1x1 depth-wise convolution into a factor per channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from ..architecture import KERNEL_SIZES, NORM_EPSILON, Architecture, shuffle_groups

Array = NDArray[Any]


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
        self.dims = architecture.spatial_dims
        self.spatial_axes = np.arange(2, self.dims + 2, dtype=np.int64)

    def build(self, shape: tuple[int, ...]) -> ov.Model:
        image = ops.parameter(list(shape), np.float32, name="image")
        encoder, decoder = self.architecture.stages
        x: Any = image
        skips = []
        for number, widths in enumerate(encoder):
            x = self.max_pool(self.block(x, f"encoder.{number}", *widths))
            skips.append(x)
        skips.pop()
        for number, widths in enumerate(decoder):
            x = self.channel_attention(x, f"decoder.{number}.channel_attention")
            x = self.spatial_attention(x)
            x = self.up(self.block(x, f"decoder.{number}.block", *widths))
            if skips:
                x = ops.add(x, self.gate(x, skips.pop(), f"gates.{number}"))
        logits = self.convolution(x, self.weights["head.weight"], self.weights["head.bias"])
        return ov.Model([logits], [image], "UltraLightUNet")

    def block(self, x: Any, name: str, width_in: int, width_out: int) -> Any:
        hidden = self.conv_norm(x, f"{name}.expand.0", f"{name}.expand.1")
        hidden = ops.clamp(hidden, 0.0, 6.0)
        branches = []
        for branch in range(len(KERNEL_SIZES)):
            prefix = f"{name}.depthwise.branches.{branch}"
            branches.append(ops.clamp(self.conv_norm(hidden, f"{prefix}.0", f"{prefix}.1", depthwise=True), 0.0, 6.0))
        total = branches[0]
        for other in branches[1:]:
            total = ops.add(total, other)
        channels = self.weights[f"{name}.expand.0.weight"].shape[0]
        # Shuffled channel n is channel order[n]; so the weight for order[n] is the one that the shuffled n would meet.
        order = np.arange(channels).reshape(shuffle_groups(channels, width_out), -1).T.ravel()
        projected = self.conv_norm(total, f"{name}.project.0", f"{name}.project.1", inputs=np.argsort(order))
        residual = x if width_in == width_out else self.convolution(x, self.weights[f"{name}.residual.weight"])
        return ops.add(residual, projected)

    def channel_attention(self, x: Any, name: str) -> Any:
        pooled = (ops.reduce_mean(x, self.spatial_axes, True), ops.reduce_max(x, self.spatial_axes, True))
        squeeze, excite = self.weights[f"{name}.squeeze.weight"], self.weights[f"{name}.excite.weight"]
        average, maximum = (self.convolution(ops.relu(self.convolution(p, squeeze)), excite) for p in pooled)
        return ops.multiply(x, ops.sigmoid(ops.add(average, maximum)))

    def spatial_attention(self, x: Any) -> Any:
        channel_axis = np.array([1], dtype=np.int64)
        statistics = ops.concat([ops.reduce_mean(x, channel_axis, True), ops.reduce_max(x, channel_axis, True)], 1)
        return ops.multiply(x, ops.sigmoid(self.convolution(statistics, self.weights["spatial_attention.conv.weight"])))

    def gate(self, gate: Any, skip: Any, name: str) -> Any:
        sides = [self.conv_norm(x, f"{name}.{branch}.0", f"{name}.{branch}.1") for x, branch in ((gate, "gate"), (skip, "skip"))]
        attention = self.conv_norm(ops.relu(ops.add(*sides)), f"{name}.attend.0", f"{name}.attend.1")
        return ops.multiply(skip, ops.sigmoid(attention))

    def conv_norm(self, x: Any, conv: str, norm: str, *, depthwise: bool = False, inputs: Array | None = None) -> Any:
        """A convolution and the norm after it; `inputs` is the order of the weight's input channels."""
        weight, bias = self.weights[f"{conv}.weight"], self.weights.get(f"{conv}.bias")
        if inputs is not None:
            weight = weight[:, inputs]
        factor, offset = self.weights[f"{norm}.weight"], self.weights[f"{norm}.bias"]
        if self.architecture.norm == "instance":
            # A bias would be taken away again with the mean.
            return self.instance_norm(self.convolution(x, weight, depthwise=depthwise), factor, offset)
        scale = factor / np.sqrt(self.weights[f"{norm}.running_var"] + np.float32(NORM_EPSILON))
        shift = offset - self.weights[f"{norm}.running_mean"] * scale
        if bias is not None:
            shift = shift + bias * scale
        return self.convolution(x, weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)), shift, depthwise=depthwise)

    def instance_norm(self, x: Any, factor: Array, offset: Array) -> Any:
        """OpenVINO's own operator for this (MVN) sums a million voxels one by one and loses a ten-thousandth of the variance."""
        centred = ops.subtract(x, self.spatial_mean(x))
        variance = self.spatial_mean(ops.multiply(centred, centred))
        deviation = ops.sqrt(ops.add(variance, ops.constant(np.float32(NORM_EPSILON))))
        return ops.add(ops.multiply(centred, ops.divide(self.per_channel(factor), deviation)), self.per_channel(offset))

    def spatial_mean(self, x: Any) -> Any:
        """Rows first, then the rows' means; the reshape keeps OpenVINO from merging the two into one long sum."""
        shape = _shape(x)
        rows = ops.reduce_mean(x, self.spatial_axes[-1:], False)
        mean = ops.reduce_mean(ops.reshape(rows, np.array([*shape[:2], -1]), False), np.array([2]), False)
        return ops.reshape(mean, np.array([*shape[:2], *(1,) * self.dims]), False)

    def convolution(self, x: Any, weight: Array, bias: Array | None = None, *, depthwise: bool = False) -> Any:
        size = weight.shape[-1]
        pads, ones = [size // 2] * self.dims, [1] * self.dims
        if depthwise and size == 1:
            y = ops.multiply(x, self.per_channel(weight))
        elif (groups := _shape(x)[1] // weight.shape[1]) > 1:
            grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
            y = ops.group_convolution(x, ops.constant(np.ascontiguousarray(grouped)), ones, pads, pads, ones)
        else:
            y = ops.convolution(x, ops.constant(np.ascontiguousarray(weight)), ones, pads, pads, ones)
        return y if bias is None else ops.add(y, self.per_channel(bias))

    def per_channel(self, values: Array) -> Any:
        return ops.constant(np.ascontiguousarray(values.reshape(1, -1, *(1,) * self.dims), dtype=np.float32))

    def max_pool(self, x: Any) -> Any:
        twos, none, ones = [2] * self.dims, [0] * self.dims, [1] * self.dims
        return ops.max_pool(x, twos, ones, none, none, twos).output(0)

    def up(self, x: Any) -> Any:
        larger = ops.interpolate(
            x,
            np.full(self.dims, 2.0, np.float32),
            mode="linear_onnx",
            shape_calculation_mode="scales",
            pads_begin=[0] * (self.dims + 2),
            pads_end=[0] * (self.dims + 2),
            coordinate_transformation_mode="half_pixel",
            axes=self.spatial_axes,
        )
        return ops.relu(larger)


def _shape(x: Any) -> list[int]:
    output = x if isinstance(x, ov.Output) else x.output(0)
    return list(output.get_shape())
