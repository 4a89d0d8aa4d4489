"""DICOM images in the order in which they lie in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...volume import Affine
from .headers import Frame
from .marks import by_volume


def arrange(frames: Sequence[Frame], path: Path) -> tuple[list[list[Frame]], str]:
    """The volumes that frames make, each in ascending order along their normal, and words for what tells these volumes apart.

    Raises:
        InputError: if they make no volumes.
    """
    if len({frame.shape for frame in frames}) > 1 or len({frame.colour for frame in frames}) > 1:
        sizes = sorted({f"{frame.shape[1]}x{frame.shape[0]}" for frame in frames})
        raise InputError(f"expected images of one kind and size, found {', '.join(sizes)} in {path}; give a folder with one scan")
    positions = [frame.position for frame in frames if frame.position is not None]
    if not positions:
        return [_film(frames, path)], ""
    if len(positions) < len(frames):
        lost = next(frame for frame in frames if frame.position is None)
        raise InputError(
            f"expected slices that say where they are, found {len(frames) - len(positions)} of {len(frames)} images without a position in "
            f"{path}, the first of them {lost.path.name}; keep the slices of one scan in a folder of their own"
        )
    _check_parallel(frames, path)
    distances = np.array(positions) @ frames[0].normal
    places = _by_place(frames, distances)
    counts = {len(place) for place in places}
    if len(counts) > 1:
        raise InputError(
            f"expected as many images at each of the {len(places)} positions, found from {min(counts)} to {max(counts)} in {path}; "
            "copy the series again, or keep the images of one scan"
        )
    told = ""
    if counts.pop() > 1:
        places, told = by_volume(places, path)
    return [list(volume) for volume in zip(*places, strict=True)], told


def affine_of(volume: Sequence[Frame], path: Path) -> Affine:
    """From (i, j, k) to LPS mm.

    Raises:
        InputError: if the frames are not evenly spaced in one straight row.
    """
    affine = volume[0].lps
    positions = [frame.position for frame in volume if frame.position is not None]
    if not positions:
        affine[:3, 2] = volume[0].normal * (volume[0].thickness if len(volume) == 1 else 1)
    elif len(volume) > 1:
        # Not along the normal: a tilted gantry shifts each slice sideways.
        affine[:3, 2] = _even_step(np.array(positions), volume[0].normal, path)
    return affine


def _film(frames: Sequence[Frame], path: Path) -> list[Frame]:
    """Frames of one file without positions, such as an ultrasound film, in their own order."""
    if len({frame.path for frame in frames}) > 1:
        raise InputError(
            f"expected slices that say where they are, found {len(frames)} images without a position in {path}; give one of the files"
        )
    return [replace(frame, sized=False) for frame in frames] if len(frames) > 1 else list(frames)


def _check_parallel(frames: Sequence[Frame], path: Path) -> None:
    apart = [np.abs(frame.axes - frames[0].axes).max() / np.abs(frames[0].axes).max() for frame in frames]
    if max(apart) > 1e-3:
        raise InputError(
            f"expected parallel slices with one pixel size, found several orientations or sizes in {path}; give a folder with one scan"
        )


def _by_place(frames: Sequence[Frame], distances: NDArray[np.float64]) -> list[list[Frame]]:
    """Groups of frames at one position, ascending along the normal."""
    order = np.argsort(distances, kind="stable")
    near = max(1e-4, min(0.01, 0.05 * float(np.ptp(distances)) / max(len(frames) - 1, 1)))
    starts = np.flatnonzero(np.diff(distances[order]) > near) + 1
    return [[frames[n] for n in group] for group in np.split(order, starts)]


def _even_step(positions: NDArray[np.float64], normal: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """LPS mm from one slice to the next, shape (3,), the mean of all `positions` (n, 3)."""
    steps = np.diff(positions, axis=0)
    gaps = steps @ normal
    usual = float(np.median(gaps))
    # Positions are often rounded to 0.01 mm.
    slack = min(max(0.03 * usual, 0.011), 0.3 * usual)
    wide = gaps > usual + slack
    missing = int(np.rint(gaps[wide] / usual - 1).sum())
    if wide.any() and missing and np.abs(gaps[wide] - usual * np.rint(gaps[wide] / usual)).max() <= slack and (gaps >= usual - slack).all():
        raise InputError(
            f"expected a slice every {usual:.4g} mm, found a gap of {gaps.max():.4g} mm after slice {int(gaps.argmax()) + 1} "
            f"of {len(positions)} in {path}: {missing} missing slice(s); copy the series again"
        )
    if np.abs(gaps - usual).max() > slack:
        raise InputError(
            f"expected evenly spaced slices, found gaps from {gaps.min():.4g} to {gaps.max():.4g} mm in {path}; "
            "copy the series again, or resample it to even spacing and save it as NIfTI"
        )
    mean = np.asarray((positions[-1] - positions[0]) / (len(positions) - 1))
    if np.linalg.norm(positions - positions[0] - np.arange(len(positions))[:, None] * mean, axis=1).max() > max(slack, 0.011):
        raise InputError(
            f"expected slices in one straight row, found some that are shifted sideways in {path}; give a folder with one scan"
        )
    return mean
