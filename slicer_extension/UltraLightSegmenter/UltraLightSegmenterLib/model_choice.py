"""Which model is meant, and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from slicer.i18n import tr as _

from .process import Facts


class ModelChoice:
    """The combo box of models and the card beneath it.

    Attributes:
        changed: called with NAME@VERSION when the user has chosen another model.
    """

    def __init__(self, ui: Any, changed: Callable[[str], None]) -> None:
        self._ui = ui
        self._models: list[Facts] = []
        self.changed = changed
        ui.modelSelector.connect("currentIndexChanged(int)", self._on_index)

    @property
    def model(self) -> Facts | None:
        """The chosen model, or None where there is none."""
        index = self._ui.modelSelector.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else None

    @property
    def ids(self) -> list[str]:
        """NAME@VERSION of every model."""
        return [model["id"] for model in self._models]

    def offer(self, models: Sequence[Facts], chosen: str) -> None:
        """List models; `chosen`, NAME@VERSION, stays chosen, or else the first."""
        self._models = list(models)
        names = [model["name"] for model in models]
        selector = self._ui.modelSelector
        blocked = selector.blockSignals(True)
        selector.clear()
        for model in models:
            is_only = names.count(model["name"]) == 1
            selector.addItem(model["name"] if is_only else f"{model['id']}{_(' (in use)') if model['is_current'] else ''}")
        selector.blockSignals(blocked)
        self.choose(chosen)

    def choose(self, model: str) -> None:
        """Show the model NAME@VERSION; where it is not there, the version in use of that name, else the first."""
        if not self._models:
            self._show_card()
            return
        name = model.partition("@")[0]
        current = [found["id"] for found in self._models if found["name"] == name and found["is_current"]]
        wanted = model if model in self.ids else (current or self.ids)[0]
        selector = self._ui.modelSelector
        blocked = selector.blockSignals(True)
        selector.currentIndex = self.ids.index(wanted)
        selector.blockSignals(blocked)
        self._show_card()

    def _on_index(self, index: int) -> None:
        self._show_card()
        if self.model is not None:
            self.changed(self.model["id"])

    def _show_card(self) -> None:
        model = self.model
        if model is None:
            self._ui.modelCard.text = _("No model found. Add a model folder.")
            return
        names = ", ".join(entry["name"] for entry in model["classes"] if entry["index"])
        licence = _(" · licence {licence}").format(licence=escape(model["licence"])) if model["licence"] else ""
        lines = [
            f"<b>{escape(model['title'])}</b>",
            f"{escape(model['modality'])} · {model['spatial_dims']}D · {escape(names)}",
            f"{escape(model['id'])}{licence}",
            escape(model["intended_use"]),
        ]
        self._ui.modelCard.text = "<br>".join(filter(None, lines))
