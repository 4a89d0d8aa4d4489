"""What a labels layer of ours knows of itself: its classes, what was saved, where it came from. Touches no Qt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from napari.experimental import unlink_layers

from ultralightunet.models import LabelClass

from .grid import KEY

SAVED = "saved"
"""In a layer's facts: the digest of the labels as they were when they were predicted or last saved."""

OPENED = "opened"
"""In a layer's facts: that the labels came from a file, so that only the user knows which scan they belong to."""

OTHER_COLOR = (0.6, 0.6, 0.6, 1.0)
"""Of labels that the model does not know, such as those that a user adds."""


def classes_of(facts: Mapping[str, Any]) -> tuple[LabelClass, ...]:
    """The classes in the facts of a Labels layer that this plugin made."""
    return tuple(LabelClass(c["index"], c["name"], tuple(c["color"]), c["snomed"]) for c in facts.get("classes", ()))


def with_classes(facts: Mapping[str, Any], classes: Sequence[LabelClass]) -> dict[str, Any]:
    """The facts of a Labels layer, with other classes."""
    return {**facts, "classes": [asdict(c) for c in classes]}


def note_saved(layer: Any, digest_of_labels: str) -> None:
    """Note in a Labels layer that the labels with a certain digest are safe."""
    set_facts(layer, {**layer.metadata.get(KEY, {}), SAVED: digest_of_labels})


def show_classes(layer: Any, classes: Sequence[LabelClass]) -> None:
    """Let a Labels layer have these classes, in their colours."""
    set_facts(layer, with_classes(layer.metadata.get(KEY, {}), classes))
    layer.colormap = class_colors(classes)
    layer.features = {"index": [c.index for c in classes], "class": [c.name for c in classes]}


def set_facts(layer: Any, facts: Mapping[str, Any]) -> None:
    """Give a layer other facts, and no other one: layers that are linked share their metadata and colours, which an image cannot have."""
    unlink_layers([layer], ["metadata", "features", "colormap"])
    layer.metadata = {**layer.metadata, KEY: dict(facts)}


def class_colors(classes: Iterable[LabelClass]) -> dict[int | None, tuple[float, ...]]:
    """Colours by label for napari's direct colour map; None stands for every other label."""
    colors: dict[int | None, tuple[float, ...]] = {None: OTHER_COLOR, 0: (0.0, 0.0, 0.0, 0.0)}
    for c in classes:
        if c.index:
            colors[c.index] = (*(value / 255 for value in c.color), 1.0)
    return colors
