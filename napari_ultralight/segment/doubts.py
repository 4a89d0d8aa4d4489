"""What speaks against the chosen image or the labels that were made of it, where the user sees it."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from napari.utils.notifications import show_warning
from qtpy.QtWidgets import QWidget

from ultralightunet.errors import UltraLightError
from ultralightunet.inference.plausibility import doubts_before
from ultralightunet.models import Model

from ..layers.conversion import Picture
from ..parts.worker import in_words_of_the_dock
from ..parts.wrapped_label import WrappedLabel
from .scope import Scope, ScopeChoice


class Doubts(WrappedLabel):
    """A line beneath the model that is there only while there is something to say.

    Attributes:
        sentences: what is said.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.sentences: tuple[str, ...] = ()
        self.setObjectName("notice")
        self.hide()

    def judge(self, picture: Picture | None, model: Model | None, scope: ScopeChoice) -> None:
        """Look at an image before anybody waits for labels of it; one that is computed when it is read is judged on the way."""
        found: tuple[str, ...] = ()
        if picture is not None and model is not None and isinstance(picture.data, np.ndarray):
            try:
                box = scope.selection(picture).get("box") if scope.combo.value is Scope.BOX else None
                found = doubts_before(picture.volume(), model, box=box)
            except UltraLightError:
                # That it cannot be segmented at all is told when that is asked for.
                pass
        self.sentences = tuple(map(in_words_of_the_dock, found))
        self.setText("\n".join(self.sentences))
        self.setVisible(bool(self.sentences))

    def warn(self) -> None:
        """Say it where it cannot be overlooked: somebody segments in spite of it."""
        for sentence in self.sentences:
            show_warning(sentence)

    def after(self, doubts: Iterable[str]) -> list[str]:
        """What a run has found to doubt; what was not said before it is warned of."""
        said = [in_words_of_the_dock(doubt) for doubt in doubts]
        for sentence in said:
            if sentence not in self.sentences:
                show_warning(sentence)
        return said
