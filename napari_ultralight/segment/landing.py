"""How labels that a run has made come into the viewer: beside what the user is at, never in its way."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from napari.layers import Image, Labels

from ultralightunet.volume import Segmentation

from ..layers.grid import KEY
from .doubts import Doubts
from .run_bar import RunBar


class Landing:
    """Adds new labels as a layer, and says what is to be said of them.

    Args:
        viewer: where to.
        run: says it.
        doubts: what was said before the run.
    """

    def __init__(self, viewer: Any, run: RunBar, doubts: Doubts) -> None:
        self._viewer, self._run, self._doubts = viewer, run, doubts
        self._active_at_start: Any = None
        self._was_cleared = False
        viewer.layers.events.removed.connect(self._notice_removed)

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this."""
        self._viewer.layers.events.removed.disconnect(self._notice_removed)

    def begin(self) -> None:
        """A run begins: whoever selects something else from now on is at other work."""
        self._active_at_start = self._viewer.layers.selection.active
        self._was_cleared = False

    def add(self, segmentation: Segmentation, layer: Any) -> None:
        """Add the layer of the labels.

        What is shown once their image is gone may be another patient: they are hidden then, and not added at all where everything was
        closed.
        """
        image_id = layer.metadata[KEY]["image_id"]
        is_orphan = all(str(other.unique_id) != image_id for other in self._viewer.layers)
        if is_orphan and self._was_cleared:
            self._run.say("The image was closed meanwhile; its labels were not added.")
            return
        layer.brush_size = 5
        layer.visible = not is_orphan
        active = self._viewer.layers.selection.active
        is_elsewhere = active is not None and (is_orphan or active is not self._active_at_start or _is_painting(active))
        # napari gives the layer another name where there is one of this name: nothing is replaced.
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active if is_elsewhere else layer
        if not segmentation.labels.any():
            self._run.say("Done: nothing was found. Is the model made for this kind of image?")
        elif segmentation.facts.get("voxel_size_assumed"):
            self._run.say("Done. The image does not tell its voxel size; 1 mm was assumed.")
        if is_orphan:
            self._run.add(f"Their image was closed meanwhile: “{layer.name}” is hidden, because another one is shown.")
        elif is_elsewhere:
            self._run.add(f"Select “{layer.name}” to see its classes.")
        for sentence in self._doubts.after(segmentation.facts.get("doubts", ())):
            self._run.add(sentence)

    def _notice_removed(self, event: Any = None) -> None:
        self._was_cleared |= not any(isinstance(layer, Image) for layer in self._viewer.layers)


def _is_painting(layer: Any) -> bool:
    """Whether the user draws on a labels layer, or is about to."""
    return isinstance(layer, Labels) and str(layer.mode) not in ("pan_zoom", "transform", "pick")
