"""The part of the panel that knows which models there are: lists them, adds one, and changes the folder that they lie in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import settings
from .keeping import show_path
from .logic import UltraLightSegmenterLogic
from .model_choice import ModelChoice
from .process import Facts, Listener


class ModelList:
    """Offers what the process finds, in the combo box of models.

    Args:
        ui: the widgets by name.
        logic: asks the process.
        choice: the combo box.
        say: tells the user.
        chosen: NAME@VERSION that the scene holds, "" for none.

    Attributes:
        home: the folder of models and corrections, "" before it is known.
        listed: called after the models have been listed.
        added: called with NAME@VERSION when a model was added.
    """

    def __init__(
        self, ui: Any, logic: UltraLightSegmenterLogic, choice: ModelChoice, say: Callable[[str], None], chosen: Callable[[], str]
    ) -> None:
        self._ui = ui
        self._logic = logic
        self._choice = choice
        self._say = say
        self._chosen = chosen
        self._wanted = ""
        self.home = ""
        self.listed: Callable[[], None] = lambda: None
        self.added: Callable[[str], None] = lambda model: None

    @property
    def model(self) -> Facts | None:
        """The chosen model, or None where there is none."""
        return self._choice.model

    def ask(self, wanted: str = "") -> None:
        """List the models; `wanted`, NAME@VERSION, is chosen then, else what the scene holds.

        Raises:
            Problem: if the process cannot be asked.
        """
        self._wanted = wanted or self._wanted
        self._logic.list_models(Listener(self._show, self._say))

    def add(self, folder: str) -> None:
        """Copy a model folder to the user's models.

        Raises:
            Problem: if the process cannot be asked.
        """
        self._logic.install_model(folder, Listener(lambda facts: self.added(facts["id"]), self._say))

    def move_home(self, folder: str) -> None:
        """Take another folder for models and corrections, and list what is in it.

        Raises:
            Problem: if work is under way, or the process cannot be asked.
        """
        self._logic.move_home(folder)
        settings.keep_data_folder(folder)
        self.ask()

    def _show(self, facts: Facts) -> None:
        self.home = facts["home"]
        show_path(self._ui.homeText, self.home)
        wanted, self._wanted = self._wanted, ""
        self._choice.offer(facts["models"], wanted or self._chosen())
        self.listed()
