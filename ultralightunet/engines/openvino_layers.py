"""Small pieces of an OpenVINO graph: convolutions, pooling, statistics, each in two or three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

Array = NDArray[Any]

_PADDED_WITH_ZEROS = "constant"


class Layers:
    """Operators for tensors (N, C, *S) with `dims` spatial axes.

    Args:
        dims: 2 or 3.
    """

    def __init__(self, dims: int) -> None:
        self.dims = dims
        self.axes = np.arange(2, dims + 2, dtype=np.int64)

    def convolution(self, x: Any, weight: Array, bias: Array | None = None) -> Any:
        """A convolution that keeps the spatial size, dense: `weight` (O, C, *K) with odd sides."""
        pads, ones = [size // 2 for size in weight.shape[2:]], [1] * self.dims
        y = ops.convolution(x, constant(weight), ones, pads, pads, ones)
        return y if bias is None else ops.add(y, self.per_channel(bias))

    def depthwise(self, x: Any, weight: Array, bias: Array | None = None, *, margin: int | None = None) -> Any:
        """Each channel through its own kernel of `weight` (C, 1, *K); a 1x1 kernel is a factor per channel.

        Args:
            x: input.
            weight: kernels with odd, equal sides.
            bias: per channel.
            margin: where given, `x` brings that many neighbours on either side along its first spatial axis, and what is needed of
                them takes the place of zeros; the result is smaller by both margins.
        """
        reach = weight.shape[-1] // 2
        before = [reach] * self.dims
        if margin is not None:
            x = self.cut(x, 2, margin - reach, shape_of(x)[2] - (margin - reach))
            before[0] = 0
        if reach == 0:
            y = ops.multiply(x, self.per_channel(weight))
        else:
            ones = [1] * self.dims
            y = ops.group_convolution(x, constant(weight[:, None]), ones, before, before, ones)
        return y if bias is None else ops.add(y, self.per_channel(bias))

    def max_pool(self, x: Any) -> Any:
        """The maximum of every 2x2(x2) voxels."""
        twos, none, ones = [2] * self.dims, [0] * self.dims, [1] * self.dims
        return ops.max_pool(x, twos, ones, none, none, twos).output(0)

    def up(self, x: Any) -> Any:
        """Twice the size, linear between voxel centres."""
        return ops.interpolate(
            x,
            np.full(self.dims, 2.0, np.float32),
            mode="linear_onnx",
            shape_calculation_mode="scales",
            pads_begin=[0] * (self.dims + 2),
            pads_end=[0] * (self.dims + 2),
            coordinate_transformation_mode="half_pixel",
            axes=self.axes,
        )

    def pad_first(self, x: Any, margin: int) -> Any:
        """`margin` planes of zeros on both sides along the first spatial axis."""
        pads = np.array([0, 0, margin, *(0,) * (self.dims - 1)])
        return ops.pad(x, pads, pads, _PADDED_WITH_ZEROS, np.float32(0))

    def cut(self, x: Any, axis: int, start: int, stop: int) -> Any:
        """Part of `x` along one axis."""
        if (start, stop) == (0, shape_of(x)[axis]):
            return x
        return ops.slice(x, np.array([start]), np.array([stop]), np.array([1]), np.array([axis]))

    def spatial_mean(self, x: Any) -> Any:
        """(N, C, *S) -> (N, C, 1, ...): rows first, then the rows' means; one long sum in single precision would lose digits.

        The reshape keeps OpenVINO from merging the two.
        """
        shape = shape_of(x)
        rows = ops.reduce_mean(x, self.axes[-1:], False)
        mean = ops.reduce_mean(ops.reshape(rows, np.array([*shape[:2], -1]), False), np.array([2]), False)
        return ops.reshape(mean, np.array([*shape[:2], *(1,) * self.dims]), False)

    def per_channel(self, values: Array) -> Any:
        """One value for each channel, in a shape that meets (N, C, *S)."""
        return constant(values.reshape(1, -1, *(1,) * self.dims))

    def ones_per_axis(self) -> tuple[int, ...]:
        """The spatial shape of a 1x1(x1) kernel."""
        return (1,) * self.dims


def relu6(x: Any) -> Any:
    """`x` clipped to 0..6."""
    return ops.clamp(x, 0.0, 6.0)


def constant(values: Array) -> Any:
    """A single-precision constant."""
    return ops.constant(np.ascontiguousarray(values, dtype=np.float32))


def shape_of(x: Any) -> list[int]:
    """The static shape of a node or of one of its outputs."""
    output = x if isinstance(x, ov.Output) else x.output(0)
    return list(output.get_shape())
