"""The part of the dock for pointing: tools, what to do with the object, and a line that says what happens."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import CheckBox, PushButton
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QProgressBar, QToolButton, QVBoxLayout, QWidget

from ultralightunet.events import Progress

from ..layers.active_labels import ActiveLabels
from ..parts.fold import Fold
from .canvas import Tool
from .pointing import KEYS, Pointing

POINT_KEY = "Control-Shift-A"
"""Starts pointing from anywhere in the viewer."""

_TOOLS = {
    Tool.ADD: ("✚ Add", "Click on the object, or on a part of it that is missing."),
    Tool.REMOVE: ("━ Remove", "Click on what does not belong to the object."),
    Tool.STROKE: ("✎ Stroke", "Draw a line inside of the object; with Alt, through what does not belong to it."),
    Tool.BOX: ("▭ Box", "Drag a box around the object; with Alt, around what does not belong to it."),
    Tool.LASSO: ("◌ Lasso", "Draw a loop around the object; with Alt, around what does not belong to it."),
}


class PointAt(Fold):
    """Label any structure by pointing at it.

    Attributes:
        pointing: what answers.
        tools: a button for each tool.
        through: whether an object is followed through the slices.
        over: whether it is drawn over other classes.
        take: puts the object into the labels.
        next_class: does so, and goes on with the next class.
        drop: gives the object up.
    """

    def __init__(self, viewer: Any, active: ActiveLabels, image: Callable[[], Any], parent: QWidget | None = None) -> None:
        super().__init__("Point", "Label any structure in any image by pointing at it; no model of it is needed.", parent)
        self.pointing = Pointing(viewer, active, image, self)
        self.tools: dict[Tool, QToolButton] = {}
        self._group = QButtonGroup(self)
        self._group.setExclusive(False)
        for tool, (text, tip) in _TOOLS.items():
            button = QToolButton()
            button.setText(text)
            letter = next(letter for letter, known in KEYS.items() if known is tool)
            button.setToolTip(f"{tip} ({letter.upper()} while pointing)")
            button.setCheckable(True)
            button.setObjectName("tool")
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            button.clicked.connect(lambda checked, tool=tool: self._choose(tool, checked))
            self._group.addButton(button)
            self.tools[tool] = button
        self.through = CheckBox(
            value=True, text="Through the slices", tooltip="Follow the object through the slices next to the one in view until it ends."
        )
        self.over = CheckBox(
            value=False, text="Over other classes", tooltip="Draw the object over what other classes have; otherwise they stay."
        )
        self.take = PushButton(
            text="Take over", tooltip="Put the object into the labels, in the selected class (Enter); one step for Ctrl+Z."
        )
        self.next_class = PushButton(text="Next class", tooltip="Take the object over, and go on with the next class.")
        self.drop = PushButton(text="Drop", tooltip="Give the object up; the labels stay as they are (Esc).")
        self.through.changed.connect(self._set_options)
        self.over.changed.connect(self._set_options)
        self.take.changed.connect(lambda: self.pointing.take_over())
        self.next_class.changed.connect(lambda: self.pointing.take_over(next_class=True))
        self.drop.changed.connect(lambda: self.pointing.drop())
        self._status = QLabel()
        self._status.setWordWrap(True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(6)
        self.pointing.changed.connect(self._show)
        self.pointing.said.connect(self.say)
        self.pointing.progressed.connect(self._show_progress)
        self.opened.connect(self.pointing.warm_up)
        self._lay_out()
        self._show()

    @property
    def status(self) -> str:
        """What was said last."""
        return str(self._status.text())

    def start(self) -> None:
        """Point, with the tool that was used last or the first one."""
        self.expand()
        self.pointing.use(self.pointing.tool or Tool.ADD)

    def say(self, text: str) -> None:
        """Show a line beneath the buttons."""
        self._status.setText(text)

    def close_down(self) -> None:
        """Let go of the viewer, whose events outlive this widget."""
        self.pointing.close_down()

    def _choose(self, tool: Tool, checked: bool) -> None:
        self.pointing.use(tool if checked else None)

    def _set_options(self, *_: object) -> None:
        self.pointing.through_slices = self.through.value
        self.pointing.over_others = self.over.value

    def _show(self) -> None:
        for tool, button in self.tools.items():
            button.setChecked(tool is self.pointing.tool)
        ready = self.pointing.has_object and not self.pointing.is_busy
        for button in (self.take, self.next_class):
            button.enabled = ready
        self.drop.enabled = self.pointing.has_object
        if not self.pointing.is_busy:
            self._bar.setValue(0)

    def _show_progress(self, event: Progress) -> None:
        self._bar.setMaximum(max(1, event.total))
        self._bar.setValue(event.done)

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        tools.setSpacing(1)
        for button in self.tools.values():
            tools.addWidget(button, 1)
        options = QHBoxLayout()
        options.addWidget(self.through.native)
        options.addWidget(self.over.native)
        ends = QHBoxLayout()
        for widget in (self.take, self.next_class, self.drop):
            ends.addWidget(widget.native)
        layout = QVBoxLayout()
        layout.setSpacing(4)
        for part in (tools, options, ends):
            layout.addLayout(part)
        layout.addWidget(self._bar)
        layout.addWidget(self._status)
        self.body.addLayout(layout)
        self.say("Choose a tool, then click on a structure in the image.")
