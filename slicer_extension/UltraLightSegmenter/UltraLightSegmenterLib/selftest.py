"""A small volume to try the module on, inside Slicer or without its application."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import slicer

from .logic import UltraLightSegmenterLogic
from .process import Listener

PATIENCE = 120.0
"""Seconds; it takes a few."""


def segment_a_ball(logic: UltraLightSegmenterLogic, *, model: str = "brain") -> tuple[Any, Any]:
    """Segment a bright ball in noise.

    Returns:
        The volume node and the segmentation node.

    Raises:
        RuntimeError: with what the user would be told, if it fails.
    """
    grid = np.indices((48, 56, 64)).astype(np.float32)
    distance = np.sqrt(sum((axis - centre) ** 2 for axis, centre in zip(grid, (24, 28, 32), strict=True)))
    array = np.where(distance < 18, 800, 100) + np.random.default_rng(0).normal(0, 20, distance.shape)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Ball")
    slicer.util.updateVolumeFromArray(volume, array.astype(np.int16))
    volume.SetSpacing(3.0, 3.0, 3.0)
    found: list[Any] = []
    logic.segment(volume, Listener(found.append, found.append), model=model)
    began = time.monotonic()
    while not found and time.monotonic() - began < PATIENCE:
        logic.poll()
        slicer.app.processEvents()
        time.sleep(0.01)
    if not found or isinstance(found[0], str):
        raise RuntimeError(found[0] if found else f"no answer within {PATIENCE:g} s")
    return volume, found[0]["node"]
