"""A small volume to try the module on, inside Slicer or without its application."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk

from .logic import UltraLightSegmenterLogic
from .pointing import Said
from .preview import hidden_node, remove
from .process import Listener
from .prompts import Mark, Shape, Tool

PATIENCE = 120.0
"""Seconds; it takes a few."""


def segment_a_ball(logic: UltraLightSegmenterLogic, *, model: str = "brain") -> tuple[Any, Any]:
    """Segment a bright ball in noise.

    Returns:
        The volume node and the segmentation node.

    Raises:
        RuntimeError: with what the user would be told, if it fails.
    """
    volume = _ball()
    found: list[Any] = []
    logic.segment(volume, Listener(found.append, found.append), model=model)
    _wait(logic, lambda: bool(found))
    if not found or isinstance(found[0], str):
        raise RuntimeError(found[0] if found else f"no answer within {PATIENCE:g} s")
    return volume, found[0]["node"]


def point_at_a_ball(logic: UltraLightSegmenterLogic) -> tuple[Any, Any]:
    """Click on the middle of a bright ball in noise.

    Returns:
        The volume node and the object's mask on its grid.

    Raises:
        RuntimeError: with what the user would be told, if it fails.
    """
    volume = _ball()
    node = hidden_node("vtkMRMLMarkupsFiducialNode", "Ball")
    node.AddControlPointWorld(vtk.vtkVector3d(32 * 3.0, 28 * 3.0, 24 * 3.0))
    told: list[str] = []
    logic.pointing.said = told.append
    logic.pointing.say(volume, Said(Mark(Tool(Shape.POINT, True), node, node.GetNthControlPointID(0))))
    _wait(logic, lambda: not logic.is_waiting)
    mask = logic.pointing.mask.on([[0, n] for n in slicer.util.arrayFromVolume(volume).shape])
    logic.pointing.forget()
    remove(node)
    if not mask.any():
        raise RuntimeError(told[-1] if told else f"no answer within {PATIENCE:g} s")
    return volume, mask


def _ball() -> Any:
    """A bright ball in noise, as a volume node."""
    grid = np.indices((48, 56, 64)).astype(np.float32)
    distance = np.sqrt(sum((axis - centre) ** 2 for axis, centre in zip(grid, (24, 28, 32), strict=True)))
    array = np.where(distance < 18, 800, 100) + np.random.default_rng(0).normal(0, 20, distance.shape)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Ball")
    slicer.util.updateVolumeFromArray(volume, array.astype(np.int16))
    volume.SetSpacing(3.0, 3.0, 3.0)
    return volume


def _wait(logic: UltraLightSegmenterLogic, is_over: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not is_over() and time.monotonic() - began < PATIENCE:
        logic.poll()
        slicer.app.processEvents()
        time.sleep(0.01)
