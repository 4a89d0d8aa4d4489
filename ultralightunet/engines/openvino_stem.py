"""The network's first block, where all voxels meet but few channels.

Processors compute sixteen channels at once; the first block has two for a grey image, so seven eighths of the work would be on nothing.
Here the volume is cut into blocks along its first axis, which lie side by side as channels and are convolved together, each block with
the few neighbouring planes that the kernels reach. The largest tensor, the block's output before pooling, is made and pooled one block
at a time, so that it never leaves the cache. The arithmetic of each voxel stays what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino.opset13 as ops

from ..architecture import KERNEL_SIZES, Architecture
from .openvino_layers import Array, Layers, constant, relu6, shape_of
from .openvino_norms import affine, folded, instance_norm

_LANES = 16
"""Channels that a processor computes at once (AVX-512; half as many with AVX2)."""

_MARGIN = max(KERNEL_SIZES) // 2
"""Neighbouring planes that a block needs on either side."""


def stem_blocks(architecture: Architecture) -> int:
    """Into how many blocks the volume is best cut for the first block of the network; 1 where its channels fill a processor as they are."""
    return _LANES // (2 * architecture.in_channels) if architecture.spatial_dims == 3 else 1


class Stem:
    """The first encoder block and the pooling after it.

    Args:
        layers: operators.
        architecture: of the network.
        weights: all weights of the network, float32.
        projection: the block's last 1x1 weights (O, H, 1, ...), for channels that are not shuffled.
    """

    def __init__(self, layers: Layers, architecture: Architecture, weights: Mapping[str, Array], projection: Array) -> None:
        self.layers = layers
        self.instance = architecture.norm == "instance"
        self.weights = weights
        self.blocks = stem_blocks(architecture)
        self.projection = projection
        self.width_out, self.hidden = projection.shape[:2]
        self.width_in = architecture.in_channels
        residual = weights.get("encoder.0.residual.weight")
        identity = np.eye(self.width_in, dtype=np.float32).reshape(self.width_in, self.width_in, *layers.ones_per_axis())
        self.residual = identity if residual is None else residual

    def __call__(self, image: Any) -> Any:
        """(N, C, *S) -> (N, O, *S / 2)."""
        layers, planes = self.layers, shape_of(image)[2] // self.blocks
        padded = layers.pad_first(image, _MARGIN)
        parts = [layers.cut(padded, 2, n * planes, (n + 1) * planes + 2 * _MARGIN) for n in range(self.blocks)]
        blocks = ops.concat(parts, 1)
        total = self._branches(self._expanded(blocks, planes))
        inner = layers.cut(blocks, 2, _MARGIN, _MARGIN + planes)
        outs = self._instance_outs(total, inner) if self.instance else self._batch_outs(total, inner)
        return ops.concat([layers.max_pool(out) for out in outs], 2)

    def _expanded(self, blocks: Any, planes: int) -> Any:
        weight = self.weights["encoder.0.expand.0.weight"]
        if self.instance:
            y = self.layers.convolution(blocks, self._side_by_side(weight))
            y = instance_norm(self.layers, y, *self._factors("encoder.0.expand.1"), blocks=self.blocks, margin=_MARGIN)
        else:
            scale, offset = folded(self.weights, "encoder.0.expand.0", "encoder.0.expand.1")
            y = self.layers.convolution(blocks, self._side_by_side(weight * _column(scale, weight)), np.tile(offset, self.blocks))
        # Convolutions see zeros beyond the volume, not what a 1x1 convolution and a norm make of zeros.
        inside = np.ones((1, self.blocks * self.hidden, planes + 2 * _MARGIN, *self.layers.ones_per_axis()[1:]), np.float32)
        inside[:, : self.hidden, :_MARGIN] = 0
        inside[:, -self.hidden :, -_MARGIN:] = 0
        return ops.multiply(relu6(y), constant(inside))

    def _branches(self, x: Any) -> Any:
        outs = []
        for number in range(len(KERNEL_SIZES)):
            conv, norm = (f"encoder.0.depthwise.branches.{number}.{part}" for part in (0, 1))
            weight = self.weights[f"{conv}.weight"]
            if self.instance:
                y = self.layers.depthwise(x, self._repeated(weight), margin=_MARGIN)
                y = instance_norm(self.layers, y, *self._factors(norm), blocks=self.blocks)
            else:
                scale, offset = folded(self.weights, conv, norm)
                weight = self._repeated(weight * _column(scale, weight))
                y = self.layers.depthwise(x, weight, np.tile(offset, self.blocks), margin=_MARGIN)
            outs.append(relu6(y))
        return ops.add(ops.add(outs[0], outs[1]), outs[2])

    def _batch_outs(self, total: Any, inner: Any) -> list[Any]:
        """The projection and the residual are one 1x1 convolution of both inputs together."""
        scale, offset = folded(self.weights, "encoder.0.project.0", "encoder.0.project.1")
        both, projection = ops.concat([total, inner], 1), self.projection * _column(scale, self.projection)
        weights = [np.concatenate((self._of(n, projection), self._of(n, self.residual)), 1) for n in range(self.blocks)]
        return [self.layers.convolution(both, weight, offset) for weight in weights]

    def _instance_outs(self, total: Any, inner: Any) -> list[Any]:
        scale, shift = affine(self.layers, *self._moments(total), *self._factors("encoder.0.project.1"))
        outs = []
        for n in range(self.blocks):
            projected = self.layers.convolution(total, self._of(n, self.projection))
            residual = self.layers.convolution(inner, self._of(n, self.residual))
            outs.append(ops.add(residual, ops.add(ops.multiply(projected, scale), shift)))
        return outs

    def _moments(self, total: Any) -> tuple[Any, Any]:
        """Mean and variance of the projection p = P t without computing it: P mean(t), and for each channel the sum over i and j of
        P_i P_j cov(t_i, t_j). There are few hidden channels, and many more at the output."""
        layers, ones = self.layers, self.layers.ones_per_axis()
        average = np.tile(np.eye(self.hidden, dtype=np.float32) / self.blocks, (1, self.blocks))
        spread = average.T * self.blocks
        mean = layers.convolution(layers.spatial_mean(total), average.reshape(*average.shape, *ones))
        centred = ops.subtract(total, layers.convolution(mean, spread.reshape(*spread.shape, *ones)))
        channels = [ops.gather(centred, np.arange(self.blocks) * self.hidden + i, np.int64(1)) for i in range(self.hidden)]
        variance = None
        for i in range(self.hidden):
            for j in range(i, self.hidden):
                covariance = layers.spatial_mean(ops.multiply(channels[i], channels[j]))
                share = self.projection[:, i : i + 1] * self.projection[:, j : j + 1] * ((1 if i == j else 2) / self.blocks)
                term = layers.convolution(covariance, np.repeat(share, self.blocks, 1))
                variance = term if variance is None else ops.add(variance, term)
        return layers.convolution(mean, self.projection), variance

    def _factors(self, norm: str) -> tuple[Array, Array]:
        return self.weights[f"{norm}.weight"], self.weights[f"{norm}.bias"]

    def _repeated(self, kernels: Array) -> Array:
        """Kernels (H, 1, *K) for the channels of all blocks."""
        return np.tile(kernels, (self.blocks, *(1,) * (kernels.ndim - 1)))

    def _side_by_side(self, weight: Array) -> Array:
        """A 1x1 weight (H, C, 1, ...) that acts on each block by itself."""
        return np.concatenate([self._of(n, weight) for n in range(self.blocks)])

    def _of(self, number: int, weight: Array) -> Array:
        """A 1x1 weight (O, C, 1, ...) that sees one block alone: (O, blocks * C, 1, ...)."""
        width = weight.shape[1]
        wide = np.zeros((weight.shape[0], self.blocks * width, *weight.shape[2:]), np.float32)
        wide[:, number * width : (number + 1) * width] = weight
        return wide


def _column(values: Array, weight: Array) -> Array:
    """One value per output channel, in a shape that meets `weight`."""
    return values.reshape(-1, *(1,) * (weight.ndim - 1))
