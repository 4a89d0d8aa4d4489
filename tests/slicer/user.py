"""The module in the hands of a user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
import UltraLightSegmenter as entry
from UltraLightSegmenterLib.packages import Packages

from tests.slicer.conftest import new_worker, until
from tests.slicer.qt_doubles import tick_all


class Parent:
    """What Slicer gives a module's widget, and a module."""

    def __init__(self) -> None:
        self.isEntered = False


class Slicer:
    """The module in the hands of a user.

    Attributes:
        widget: the module's.
        ui: its parts.
        agrees: what the user answers to a question.
        missing: packages that Slicer lacks.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.agrees = True
        self.asked: list[str] = []
        self.missing: list[str] = []
        self.logic = entry._Logic(new_worker(), new_worker(), folder=folder)
        packages = Packages(self._answer, lambda requirements: self.missing.clear())
        packages.missing = lambda: list(self.missing)  # type: ignore[method-assign]
        monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", self._answer)
        self.widget = entry.UltraLightSegmenterWidget(Parent(), logic=self.logic, packages=packages)
        self.widget.setup()
        self.ui = self.widget.ui

    def _answer(self, question: str, *arguments: Any, **options: Any) -> bool:
        self.asked.append(question)
        return self.agrees

    @property
    def choice(self) -> Any:
        return self.widget.panel._choice

    @property
    def status(self) -> str:
        return str(self.ui.statusLabel.text)

    def enter(self) -> None:
        self.widget.parent.isEntered = True
        self.widget.enter()
        self.wait()

    def leave(self) -> None:
        self.widget.exit()
        self.widget.parent.isEntered = False

    def wait(self) -> None:
        """Until nothing is under way."""
        until(lambda: not self.logic.is_waiting, tick_all)

    def segment(self) -> Any:
        """Click Segment; the new segmentation."""
        self.ui.segmentButton.click()
        self.wait()
        assert self.choice.segmentation is not None, self.status
        return self.choice.segmentation
