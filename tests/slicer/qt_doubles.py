"""Widgets, timers and dialogs of Qt, ctk and qMRML, as far as the module uses them."""

from __future__ import annotations

import types
import typing
import xml.etree.ElementTree as ET
from typing import Any

import slicer

_NODE_BUTTONS = ("addEnabled", "removeEnabled", "noneEnabled", "renameEnabled")

_PROPERTIES = {
    "QWidget": {"visible": True, "enabled": True, "toolTip": ""},
    "QLabel": {"text": "", "wordWrap": False, "textFormat": ""},
    "QPushButton": {"text": "", "default": False, "checkable": False, "checked": False},
    "QCheckBox": {"text": "", "checked": False},
    "QComboBox": {"currentIndex": -1},
    "QDoubleSpinBox": {"value": 0.0, "minimum": 0.0, "maximum": 99.99, "singleStep": 1.0, "decimals": 2},
    "QSpinBox": {"value": 0, "minimum": 0, "maximum": 99, "specialValueText": ""},
    "QProgressBar": {"value": 0, "minimum": 0, "maximum": 100, "textVisible": True},
    "QPlainTextEdit": {"plainText": "", "readOnly": False},
    "QFrame": {},
    "ctkCollapsibleButton": {"text": "", "collapsed": False},
    "qMRMLWidget": {},
    "qMRMLNodeComboBox": dict.fromkeys(
        ("nodeTypes", "showChildNodeTypes", "addEnabled", "removeEnabled", "noneEnabled", "renameEnabled"), False
    ),
}

SIGNALS = {"checked": "toggled", "currentIndex": "currentIndexChanged", "value": "valueChanged", "node": "currentNodeChanged"}


class Widget:
    """A widget of the .ui file: properties are attributes, and others cannot be set."""

    def __init__(self, kind: str, name: str) -> None:
        self.__dict__.update(_kind=kind, _name=name, _values={**_PROPERTIES["QWidget"], **_PROPERTIES[kind]}, _slots={}, _dynamic={})
        self.__dict__.update(_items=[], _node=None, _is_blocked=False, children={}, added=[])

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"{self._kind} {self._name} has no {name}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._values:
            raise AttributeError(f"{self._kind} {self._name} has no property {name}")
        if self._values[name] != value:
            self._values[name] = value
            self._emit(SIGNALS.get(name, ""), value)

    @property
    def count(self) -> int:
        return len(self._items)

    def property(self, name: str) -> Any:
        return self._dynamic.get(name)

    def connect(self, signature: str, slot: Any) -> None:
        self._slots.setdefault(signature.partition("(")[0], []).append(slot)

    def blockSignals(self, is_blocked: bool) -> bool:
        before, self.__dict__["_is_blocked"] = self._is_blocked, is_blocked
        return bool(before)

    def click(self) -> None:
        """As a user does: a disabled button does nothing."""
        assert self._kind == "QPushButton"
        if self.enabled:
            if self.checkable:
                self.checked = not self.checked
            self._emit("clicked", self.checked)

    def addItem(self, text: str) -> None:
        self._items.append(text)
        if self.currentIndex < 0:
            self.currentIndex = 0

    def clear(self) -> None:
        self._items.clear()
        self.currentIndex = -1

    def itemText(self, index: int) -> str:
        return str(self._items[index])

    def appendPlainText(self, line: str) -> None:
        self.plainText = f"{self.plainText}\n{line}".strip()

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        if node is not self._node:
            self.__dict__["_node"] = node
            self._emit("currentNodeChanged", node)

    def addNode(self) -> Any:
        """As its menu's “Create new …” does."""
        node = slicer.mrmlScene.AddNewNodeByClass(self.nodeTypes[0])
        self.setCurrentNode(node)
        return node

    def setMRMLScene(self, scene: Any) -> None:
        assert self._kind.startswith("qMRML")

    def layout(self) -> Any:
        return types.SimpleNamespace(addWidget=self.added.append)

    def _emit(self, signal: str, value: Any) -> None:
        if not self._is_blocked:
            for slot in list(self._slots.get(signal, ())):
                slot(value)


def load_ui(path: str) -> Widget:
    """The widgets of a .ui file; a class or property that is not known here fails."""
    top = ET.parse(path).getroot().find("widget")
    assert top is not None
    made: dict[str, Widget] = {}
    for element in top.iter("widget"):
        widget = made[element.get("name", "")] = Widget(element.get("class", ""), element.get("name", ""))
        for entry in element.findall("property"):
            name, value = entry.get("name", ""), _value(entry[0])
            if entry.get("stdset") == "0":
                widget._dynamic[name] = value
            else:
                setattr(widget, name, value)
    whole = made[top.get("name", "")]
    whole.children.update(made)
    return whole


def _value(element: ET.Element) -> Any:
    if element.tag == "stringlist":
        return [entry.text for entry in element]
    text = element.text or ""
    return {"bool": lambda: text == "true", "number": lambda: int(text), "double": lambda: float(text)}.get(element.tag, lambda: text)()


class Settings:
    """Slicer's settings, for one test."""

    kept: typing.ClassVar[dict[str, Any]] = {}

    def contains(self, key: str) -> bool:
        return key in Settings.kept

    def value(self, key: str) -> Any:
        return Settings.kept.get(key)

    def setValue(self, key: str, value: Any) -> None:
        Settings.kept[key] = value


class Timer:
    """Does nothing by itself; `tick_all` lets every running timer fire once."""

    running: typing.ClassVar[set[Timer]] = set()

    def __init__(self) -> None:
        self.interval = 0
        self._slots: list[Any] = []

    def connect(self, signature: str, slot: Any) -> None:
        assert signature == "timeout()"
        self._slots.append(slot)

    def start(self) -> None:
        Timer.running.add(self)

    def stop(self) -> None:
        Timer.running.discard(self)


def tick_all() -> None:
    for timer in list(Timer.running):
        for slot in timer._slots:
            slot()


class FileDialog:
    """Answers with `answer`."""

    answer = ""

    @staticmethod
    def getExistingDirectory(*arguments: Any) -> str:
        return FileDialog.answer


class SegmentEditorWidget:
    """Keeps its state in a real vtkMRMLSegmentEditorNode, as Slicer's does."""

    maximumNumberOfUndoStates = 0

    def __init__(self) -> None:
        self.node: Any = None
        self.scene: Any = None
        # Slicer's own: its Undo is a button of the widget.
        self.logic = slicer.vtkSlicerSegmentEditorLogic()

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self.node = node
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.logic.SetSegmentEditorNode(node)

    def mrmlSegmentEditorNode(self) -> Any:
        return self.node

    def setMRMLScene(self, scene: Any) -> None:
        self.scene = scene

    def setSegmentationNode(self, node: Any) -> None:
        self.node.SetAndObserveSegmentationNode(node)

    def segmentationNode(self) -> Any:
        return self.node.GetSegmentationNode()

    def setSourceVolumeNode(self, node: Any) -> None:
        self.node.SetAndObserveSourceVolumeNode(node)

    def saveStateForUndo(self) -> None:
        self.logic.SaveStateForUndo()

    def undo(self) -> None:
        self.logic.Undo()

    def setSegmentationNodeSelectorVisible(self, is_visible: bool) -> None: ...
    def setActiveEffectByName(self, name: str) -> None: ...
    def setupViewObservations(self) -> None: ...
    def removeViewObservations(self) -> None: ...
    def installKeyboardShortcuts(self) -> None: ...
    def uninstallKeyboardShortcuts(self) -> None: ...
