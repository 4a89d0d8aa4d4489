"""The two normalisations as an OpenVINO graph: batch norm disappears into the weights before it, instance norm is computed."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import openvino.opset13 as ops

from ..architecture import NORM_EPSILON
from .openvino_layers import Array, Layers, constant, shape_of

_SHORT_SUM = 4096
"""Voxels that OpenVINO's own operator (MVN) may add up: it adds them one by one, and of a million it loses the last digits of the
variance. It is one operator in place of seven, which makes a graph quicker to compile."""


def folded(weights: Mapping[str, Array], conv: str, norm: str) -> tuple[Array, Array]:
    """Batch norm as a factor of the weights before it and an offset: g (w x + b - m) / s + o = (w g / s) x + (b - m) g / s + o."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + np.float32(NORM_EPSILON))
    bias = weights.get(f"{conv}.bias", np.float32(0))
    return scale, weights[f"{norm}.bias"] + (bias - weights[f"{norm}.running_mean"]) * scale


def instance_norm(layers: Layers, x: Any, factor: Array, offset: Array, *, blocks: int = 1, margin: int = 0) -> Any:
    """Each channel less its mean, over its deviation, times `factor` plus `offset`.

    Args:
        layers: operators.
        x: (N, blocks * C, *S).
        factor: (C,).
        offset: (C,).
        blocks: parts of the volume that lie side by side as channels, C channels each, and share their statistics.
        margin: planes on both sides along the first spatial axis that are normalised but not counted.
    """
    if blocks == 1 and prod(shape_of(x)[2:]) <= _SHORT_SUM:
        normalized = ops.mvn(x, layers.axes, True, NORM_EPSILON, "inside_sqrt")
        return ops.add(ops.multiply(normalized, layers.per_channel(factor)), layers.per_channel(offset))
    counted = layers.cut(x, 2, margin, shape_of(x)[2] - margin)
    mean = _over_blocks(layers, layers.spatial_mean(counted), blocks)
    centred = ops.subtract(counted, mean)
    variance = _over_blocks(layers, layers.spatial_mean(ops.multiply(centred, centred)), blocks)
    scale, shift = affine(layers, mean, variance, np.tile(factor, blocks), np.tile(offset, blocks))
    return ops.add(ops.multiply(x, scale), shift)


def affine(layers: Layers, mean: Any, variance: Any, factor: Array, offset: Array) -> tuple[Any, Any]:
    """The same normalisation as a factor and an addend, for a single pass: g (x - m) / s + o = x (g / s) + (o - m g / s)."""
    scale = ops.divide(layers.per_channel(factor), ops.sqrt(ops.add(variance, constant(np.array(NORM_EPSILON)))))
    return scale, ops.subtract(layers.per_channel(offset), ops.multiply(mean, scale))


def _over_blocks(layers: Layers, means: Any, blocks: int) -> Any:
    """The mean over all blocks, given to each of them: a 1x1 convolution on (N, blocks * C, 1, ...)."""
    if blocks == 1:
        return means
    channels = shape_of(means)[1] // blocks
    average = np.tile(np.eye(channels, dtype=np.float32) / blocks, (blocks, blocks))
    return layers.convolution(means, average.reshape(*average.shape, *layers.ones_per_axis()))
