"""The part of the panel for pointing: tools, what to do with the object, and a line that says what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from . import settings
from .editor import Editor
from .logic import UltraLightSegmenterLogic
from .masks import Mask
from .pictures import Picture
from .placing import Placing
from .pointing import Said
from .preview import Preview
from .problem import Problem
from .process import Facts
from .prompts import Mark, Shape, Tool
from .taking_over import TakingOver

TOOLS = {
    "pointAddButton": Tool(Shape.POINT, True),
    "pointRemoveButton": Tool(Shape.POINT, False),
    "strokeAddButton": Tool(Shape.STROKE, True),
    "strokeRemoveButton": Tool(Shape.STROKE, False),
    "boxAddButton": Tool(Shape.BOX, True),
    "boxRemoveButton": Tool(Shape.BOX, False),
}
"""By the name of the button."""


class PointAt(VTKObservationMixin):
    """Label any structure by pointing at it.

    Args:
        ui: the widgets by name.
        logic: answers.
        editor: holds the segment that the object is meant for.
        choice: the module's parameters, or None while no scene is open.
        attempt: does what may be impossible, tells the user why it is, and listens to the process from then on.
        ensure: makes sure that what the process needs is installed.
        say: shows a line.
        confirm: asks a person yes or no.
        made: called with a segmentation that was made because there was none.
    """

    def __init__(
        self,
        ui: Any,
        logic: UltraLightSegmenterLogic,
        editor: Editor,
        *,
        choice: Callable[[], Any],
        attempt: Callable[[Callable[[], None]], None],
        ensure: Callable[[], None],
        say: Callable[[str], None],
        confirm: Callable[[str], bool],
        made: Callable[[Any], None],
    ) -> None:
        VTKObservationMixin.__init__(self)
        self._ui, self._choice, self._attempt, self._ensure, self._say = ui, choice, attempt, ensure, say
        self._pointing = logic.pointing
        self._taking_over = TakingOver(editor, confirm, made)
        self.preview = Preview()
        self.placing = Placing()
        self.placing.placed = self._placed
        self.placing.put_down = self._show
        self._pointing.changed = self._show
        self._pointing.dropped = self.placing.clear
        self._pointing.refused = self.placing.remove
        self._pointing.said = say
        self._pointing.progressed = self._progressed
        for name, tool in TOOLS.items():
            getattr(ui, name).connect("clicked(bool)", self._chooser(getattr(ui, name), tool))
        for button, action in (
            (ui.takeOverButton, self._take_over),
            (ui.nextSegmentButton, lambda: self._take_over(is_next=True)),
            (ui.undoPromptButton, self._pointing.undo),
            (ui.clearPointButton, self._clear),
            (ui.pointCancelButton, self._pointing.cancel),
        ):
            button.connect("clicked(bool)", self._attempting(action))
        self._show()

    def adapt(self, choice: Any) -> None:
        """Another volume may have been chosen: what was pointed at in the last one is given up."""
        volume = self._pointing.volume
        if volume is not None and choice.volume is not volume:
            said = _("Another volume was chosen: the object in {name} was given up").format(name=volume.GetName())
            had_object = self._pointing.has_object
            self.placing.use(None)
            self._pointing.forget(said if had_object else "")

    def watch(self, editor_node: Any) -> None:
        """Let the preview have the colour of the segment that is selected in the editor from now on; None: in none."""
        self.removeObservers(self._paint)
        if editor_node is not None:
            self.addObserver(editor_node, vtk.vtkCommand.ModifiedEvent, self._paint)

    def _paint(self, *event: object) -> None:
        self.preview.paint(self._taking_over.color)

    def rest(self) -> None:
        """Another module is shown: the mouse is given back, the object stays."""
        self.placing.use(None)
        self._show()

    def close(self) -> None:
        """The scene is about to be closed: leave nothing behind in it."""
        self.placing.use(None)
        self.watch(None)
        self._pointing.forget()

    def _chooser(self, button: Any, tool: Tool) -> Callable[..., None]:
        def choose(*arguments: object) -> None:
            self._attempt(lambda: self._use(tool if button.checked else None))
            self._show()

        return choose

    def _attempting(self, action: Callable[[], None]) -> Callable[..., None]:
        return lambda *arguments: self._attempt(action)

    def _use(self, tool: Tool | None) -> None:
        self.placing.use(None)
        if tool is None:
            return
        choice = self._open()
        self._ensure()
        self._pointing.look_at(choice.volume, threads=settings.threads() or None)
        self.placing.use(tool)
        words = {
            Shape.POINT: _("Click on the object in a slice view") if tool.positive else _("Click on what does not belong to the object"),
            Shape.STROKE: _("Click along a line in a slice view; a double click ends it"),
            Shape.BOX: _("Click on two opposite corners in a slice view"),
        }
        self._say(words[tool.shape])

    def _placed(self, mark: Mark) -> None:
        self._attempt(lambda: self._ask(mark))

    def _ask(self, mark: Mark) -> None:
        try:
            choice = self._open()
            picture = Picture.of(choice.volume)
            axis = _axis_under_the_mouse(picture)
            said = Said(
                mark,
                axis=self._pointing.axis if axis is None else axis,
                slice_only=choice.sliceOnly,
                is_flat=axis is not None,
                start=self._labels_at,
                threads=settings.threads() or None,
            )
            self._pointing.say(choice.volume, said)
        except Problem:
            self.placing.remove(mark)
            if mark.tool.shape is not Shape.POINT:
                # Its place mode has ended, and a new one cannot begin while Slicer ends this one.
                self.placing.use(None)
                self._show()
            raise

    def _labels_at(self, prompt: Facts, picture: Picture) -> Mask | None:
        """What a new object begins with: the labels that the first click is on."""
        return self._taking_over.labels_at(prompt["voxel"], picture) if "voxel" in prompt else None

    def _take_over(self, *, is_next: bool = False) -> None:
        if not self._pointing.has_object or self._pointing.is_busy:
            return
        said = self._taking_over.take_over(self._pointing.sight, self._pointing.mask, self._pointing.replaced)
        if is_next:
            next_one = _("now {name}").format(name=self._taking_over.next_segment())
            said = f"{said}; {next_one}"
        self._pointing.drop(said)

    def _clear(self) -> None:
        self._pointing.drop(_("The object was given up; the segments are as they were"))

    def _open(self) -> Any:
        choice = self._choice()
        if choice is None:
            raise Problem(_("Expected an open scene, found none; open the module again"))
        return choice

    def _progressed(self, event: Facts) -> None:
        self._ui.pointBar.maximum = event["total"] if event["total"] > 1 else 0
        self._ui.pointBar.value = event["done"] if event["total"] > 1 else 0

    def _show(self) -> None:
        """Show the object, and which buttons make sense."""
        pointing, ui = self._pointing, self._ui
        for name, tool in TOOLS.items():
            getattr(ui, name).checked = tool == self.placing.tool
        is_ready = pointing.has_object and not pointing.is_busy
        ui.takeOverButton.enabled = ui.nextSegmentButton.enabled = is_ready
        ui.undoPromptButton.enabled = is_ready and bool(pointing.marks)
        ui.clearPointButton.enabled = pointing.has_object or pointing.is_busy
        ui.pointCancelButton.enabled = pointing.is_busy
        if pointing.is_busy:
            return
        ui.pointBar.maximum, ui.pointBar.value = 1, 0
        self.placing.go_on()
        if pointing.has_object:
            self.preview.show(pointing.mask, pointing.sight.picture, self._taking_over.color)
        else:
            self.preview.close()


def _axis_under_the_mouse(picture: Picture) -> int | None:
    """The axis of a volume's array across which the slice view lies that the mouse is in; None if it is in none."""
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    view = None if crosshair is None else crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
    if view is None:
        return None
    # A picture is a volume of one slice, whatever the view looks at.
    return picture.shape.index(1) if picture.is_flat else picture.axis(view)
