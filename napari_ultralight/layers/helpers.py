"""Layers that help to point and are no labels of the user's."""

from __future__ import annotations

from typing import Any

HELPER = "ultralight-helper"
"""In the metadata of such a layer."""


def is_helper(layer: Any) -> bool:
    """Whether a layer was added to show something for a while: it is neither corrected, nor saved, nor missed."""
    return bool(layer is not None and layer.metadata.get(HELPER))
