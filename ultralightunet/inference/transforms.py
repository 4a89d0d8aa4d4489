"""From an image's own grid to the network's, and back: orientation, resampling, grey values. Each step has its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models import Intensity
from ..volume import Affine

if TYPE_CHECKING:
    import scipy.sparse

Array = NDArray[Any]

_PERCENTILE_SAMPLE = 200_000
"""Voxels that percentiles are taken from: enough for a stable figure, and thirty times faster than a whole head's."""


@dataclass(frozen=True)
class Orientation:
    """How an array's axes lie in the patient, as the nearest right-left, back-front and foot-head axes.

    Attributes:
        axes: for each canonical axis (S, A, R) the axis of the array (k, j, i) that runs along it.
        flips: whether that axis runs the other way.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.inference.transforms import Orientation
        >>> to_the_left = np.diag((-1.0, 1.0, 1.0, 1.0))
        >>> Orientation.of(to_the_left).flips
        (False, False, True)
        >>> Orientation.of(to_the_left).apply(np.arange(8).reshape(2, 2, 2))[0, 0].tolist()
        [1, 0]
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, affine: Affine) -> Orientation:
        """The orientation that turns the grid least, for an array (k, j, i) with an RAS+ `affine` of (i, j, k)."""
        # Columns and rows reversed: array axes k, j, i against patient axes S, A, R.
        directions = affine[:3, :3][::-1, ::-1]
        cosines = directions / np.sqrt((directions**2).sum(0))
        axes = max(permutations(range(3)), key=lambda p: sum(abs(cosines[row, p[row]]) for row in range(3)))
        return cls((axes[0], axes[1], axes[2]), tuple(bool(cosines[row, axes[row]] < 0) for row in range(3)))  # type: ignore[arg-type]

    def apply(self, array: Array) -> Array:
        """A view of `array` (k, j, i, ...) along (S, A, R)."""
        turned = array.transpose(*self.axes, *range(3, array.ndim))
        return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]

    def reversed(self) -> Orientation:
        """The same axes, each the other way: to foot, back and left."""
        return Orientation(self.axes, (not self.flips[0], not self.flips[1], not self.flips[2]))

    def ranges(self, ranges: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Ranges of an array of `shape` as ranges of what `apply` makes of it."""
        turned = []
        for axis, flip in zip(self.axes, self.flips, strict=True):
            start, stop, count = ranges[axis].start, ranges[axis].stop, shape[axis]
            turned.append(slice(count - stop, count - start) if flip else slice(start, stop))
        return tuple(turned)

    def spacing(self, spacing: tuple[float, ...]) -> tuple[float, ...]:
        """Voxel size in mm along (S, A, R)."""
        return tuple(spacing[axis] for axis in self.axes)


def grid_shape(shape: tuple[int, ...], spacing: tuple[float, ...], wanted: tuple[float, ...]) -> tuple[int, ...]:
    """Voxels of the grid that covers the same extent with voxels of about the `wanted` size in mm.

    Example:
        >>> from ultralightunet.inference.transforms import grid_shape
        >>> grid_shape((30, 256, 256), (5.0, 1.0, 1.0), (2.0, 2.0, 2.0))
        (75, 128, 128)
    """
    return tuple(max(1, round(n * old / new)) for n, old, new in zip(shape, spacing, wanted, strict=True))


@cache
def axis_weights(count: int, wanted: int) -> scipy.sparse.csr_array:
    """The linear map from `count` samples to `wanted` over the same extent: (wanted, count), rows sum to 1.

    Linear interpolation where samples get finer; where they get coarser the kernel is widened by as much, so that nothing aliases.

    Example:
        >>> from ultralightunet.inference.transforms import axis_weights
        >>> axis_weights(2, 4).toarray().tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    # Imported where it is needed, see `postprocessing.keep_largest`.
    import scipy.sparse

    ratio = count / wanted
    reach = max(1.0, ratio)
    centres = (np.arange(wanted) + 0.5) * ratio - 0.5
    first = np.floor(centres - reach).astype(int) + 1
    offsets = np.arange(int(np.ceil(2 * reach)) + 1)
    columns = first[:, None] + offsets
    weights = np.maximum(0.0, 1 - np.abs(columns - centres[:, None]) / reach)
    weights /= weights.sum(1, keepdims=True)
    rows = np.repeat(np.arange(wanted), len(offsets))
    clamped = np.clip(columns, 0, count - 1).ravel()
    matrix = scipy.sparse.coo_array((weights.ravel().astype(np.float32), (rows, clamped)), shape=(wanted, count)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def resample(image: Array, shape: tuple[int, ...]) -> Array:
    """`image` (*S) or (*S, C), any real type, onto `shape` over the same extent: float32 (C, *shape), C 1 where absent.

    Works slice by slice along the first axis, so that a large image of small integers is never held as floats.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.inference.transforms import resample
        >>> resample(np.array([[0, 4], [8, 12]]), (2, 4)).tolist()
        [[[0.0, 1.0, 3.0, 4.0], [8.0, 9.0, 11.0, 12.0]]]
    """
    channels = image[..., None] if image.ndim == len(shape) else image
    if len(shape) == 2:
        return np.stack([_resample_plane(channels[..., c], shape) for c in range(channels.shape[-1])])
    along = axis_weights(channels.shape[0], shape[0])
    by_input = along.tocsc()
    out = np.zeros((channels.shape[-1], *shape), np.float32)
    for number in range(channels.shape[0]):
        start, end = by_input.indptr[number : number + 2]
        if start == end:
            continue
        for channel in range(channels.shape[-1]):
            plane = _resample_plane(channels[number, ..., channel], shape[1:])
            for row, weight in zip(by_input.indices[start:end], by_input.data[start:end], strict=True):
                out[channel, row] += weight * plane
    return out


def _resample_plane(plane: Array, shape: tuple[int, ...]) -> Array:
    result = np.ascontiguousarray(plane, dtype=np.float32)
    if result.shape[0] != shape[0]:
        result = axis_weights(result.shape[0], shape[0]) @ result
    if result.shape[1] != shape[1]:
        result = np.ascontiguousarray((axis_weights(result.shape[1], shape[1]) @ np.ascontiguousarray(result.T)).T)
    return result


def normalize(image: Array, intensity: Intensity, limits: tuple[float, float] = (0.0, 1.0)) -> Array:
    """Apply a model's rule for grey values.

    Args:
        image: float32 (C, *S); changed in place where that saves a copy.
        intensity: the rule.
        limits: grey values that "scale" takes to 0 and 1, see `scale_limits`; the other rules do not look at them.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.inference.transforms import normalize
        >>> from ultralightunet.models import Intensity
        >>> hounsfield = np.array([[[-1000.0, 40.0, 140.0]]], np.float32)
        >>> normalize(hounsfield, Intensity("window", -160, 240, mean=(40.0,), std=(100.0,))).tolist()
        [[[-2.0, 0.0, 1.0]]]
    """
    if intensity.rule == "percentile":
        low, high = np.percentile(_sample(image), (intensity.low, intensity.high))
        np.clip(image, np.float32(low), np.float32(high), out=image)
        mean, std = image.mean(dtype=np.float64), image.std(dtype=np.float64)
        image -= np.float32(mean)
        image /= np.float32(std) if std > 0 else np.float32(1)
        return image
    per_channel = (-1, *(1,) * (image.ndim - 1))
    if intensity.rule == "window":
        np.clip(image, np.float32(intensity.low), np.float32(intensity.high), out=image)
    else:
        low, high = limits
        image -= np.float32(low)
        image /= np.float32(high - low)
    image -= np.asarray(intensity.mean, np.float32).reshape(per_channel)
    image /= np.asarray(intensity.std, np.float32).reshape(per_channel)
    return image


def scale_limits(image: Array, intensity: Intensity) -> tuple[float, float]:
    """The grey values of a whole image, as it was loaded, that the rule "scale" takes to 0 and 1.

    The number type alone does not tell them: pictures of 8 bits are kept in wider integers and in floats, from 0 to 255 or from 0 to 1.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.inference.transforms import scale_limits
        >>> from ultralightunet.models import Intensity
        >>> scale_limits(np.array([0.2, 0.7]), Intensity("scale", 0, 255))
        (0.0, 1.0)
    """
    if image.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(image.min()), float(image.max())
    if image.dtype == bool or (image.dtype.kind == "f" and low >= 0 and high <= 1):
        return 0.0, 1.0
    if intensity.low <= low and high <= intensity.high:
        return intensity.low, intensity.high
    return low, high


def _sample(image: Array) -> Array:
    """Evenly spread voxels; the distance has no divisor in common with any side, or they would all lie in a few columns."""
    stride = max(1, image.size // _PERCENTILE_SAMPLE)
    while any(gcd(stride, side) > 1 for side in image.shape):
        stride += 1
    return image.ravel()[::stride]


def with_channels(image: Array, channels: int, wanted: int) -> Array | None:
    """`image` (*S) or (*S, C) with the `wanted` number of channels, or None where there is no sensible way.

    Grey becomes colour by repetition (as the network's authors do); colour becomes grey by its luminance (ITU-R BT.601).

    Example:
        >>> import numpy as np
        >>> from ultralightunet.inference.transforms import with_channels
        >>> with_channels(np.zeros((4, 5)), 1, 3).shape
        (4, 5, 3)
        >>> with_channels(np.ones((4, 5, 3)), 3, 1).shape
        (4, 5)
    """
    if channels == wanted:
        return image
    if channels == 1 and wanted == 3:
        return np.broadcast_to(image[..., None], (*image.shape, 3))
    if channels == 3 and wanted == 1:
        return np.asarray(image, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return None
