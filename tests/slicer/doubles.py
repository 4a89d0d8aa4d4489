"""What the application Slicer adds to slicer-core, as far as the module uses it: small, and strict where PythonQt is.

`install()` makes `import slicer` and `import qt` work as in the application. MRML, its logics and `slicer.util` are the real ones.
"""

from __future__ import annotations

import json
import sys
import types
import typing
import xml.etree.ElementTree as ET
from enum import Enum
from pathlib import Path
from typing import Any

import slicer
import slicer.util

MODULE = Path(__file__).parents[2] / "slicer_extension" / "UltraLightSegmenter"


def install() -> None:
    """Put the doubles where the module looks for them."""
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    slicer.mrmlScene = scene
    slicer.modules = types.SimpleNamespace()
    for name, class_name in (
        ("Terminologies", "vtkSlicerTerminologiesModuleLogic"),
        ("Volumes", "vtkSlicerVolumesLogic"),
        ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
        ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
    ):
        module_logic = getattr(slicer, class_name)()
        module_logic.SetMRMLApplicationLogic(logic)
        module_logic.SetMRMLScene(scene)
        logic.SetModuleLogic(name, module_logic)
        setattr(slicer.modules, name.lower(), types.SimpleNamespace(logic=lambda found=module_logic: found))
    slicer.app = types.SimpleNamespace(
        connect=lambda signature, slot: None,
        moduleManager=lambda: types.SimpleNamespace(connect=lambda signature, slot: None, disconnect=lambda signature, slot: None),
        temporaryPath="/nowhere",
        applicationLogic=lambda: logic,
        processEvents=lambda: None,
    )
    slicer.qMRMLSegmentEditorWidget = SegmentEditorWidget
    slicer.util.loadUI = load_ui
    slicer.util.childWidgetVariables = lambda widget: types.SimpleNamespace(**widget.children)
    slicer.util.mainWindow = lambda: None
    _module("qt", QTimer=Timer, QFileDialog=FileDialog)
    _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    _module(
        "slicer.ScriptedLoadableModule",
        **{name: globals()[name] for name in globals() if name.startswith("ScriptedLoadableModule")},
    )
    _module("slicer.parameterNodeWrapper", parameterNodeWrapper=parameter_node_wrapper, Choice=Choice, WithinRange=WithinRange)
    if str(MODULE) not in sys.path:
        sys.path.insert(0, str(MODULE))


def _module(name: str, **contents: Any) -> None:
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module
    if name.startswith("slicer."):
        setattr(slicer, name.removeprefix("slicer."), module)


# ---- Qt

_NODE_BUTTONS = ("addEnabled", "removeEnabled", "noneEnabled", "renameEnabled")
_PROPERTIES = {
    "QWidget": {"visible": True, "enabled": True, "toolTip": ""},
    "QLabel": {"text": "", "wordWrap": False, "textFormat": ""},
    "QPushButton": {"text": "", "default": False},
    "QCheckBox": {"text": "", "checked": False},
    "QComboBox": {"currentIndex": -1},
    "QDoubleSpinBox": {"value": 0.0, "minimum": 0.0, "maximum": 99.99, "singleStep": 1.0, "decimals": 2},
    "QProgressBar": {"value": 0, "minimum": 0, "maximum": 100, "textVisible": True},
    "QPlainTextEdit": {"plainText": "", "readOnly": False},
    "QFrame": {},
    "ctkCollapsibleButton": {"text": "", "collapsed": False},
    "qMRMLWidget": {},
    "qMRMLNodeComboBox": dict.fromkeys(
        ("nodeTypes", "showChildNodeTypes", "addEnabled", "removeEnabled", "noneEnabled", "renameEnabled"), False
    ),
}
_SIGNALS = {"checked": "toggled", "currentIndex": "currentIndexChanged", "value": "valueChanged", "node": "currentNodeChanged"}


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
            self._emit(_SIGNALS.get(name, ""), value)

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
            self._emit("clicked", False)

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

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self.node = node

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

    def setSegmentationNodeSelectorVisible(self, is_visible: bool) -> None: ...
    def setActiveEffectByName(self, name: str) -> None: ...
    def setupViewObservations(self) -> None: ...
    def removeViewObservations(self) -> None: ...
    def installKeyboardShortcuts(self) -> None: ...
    def uninstallKeyboardShortcuts(self) -> None: ...


# ---- slicer.ScriptedLoadableModule


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.layout = types.SimpleNamespace(addWidget=lambda widget: None)

    def setup(self) -> None: ...

    def resourcePath(self, name: str) -> str:
        return str(MODULE / "Resources" / name)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node = scene.AddNode(node)
        # Closing a scene takes the attributes of its singletons away.
        node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest:
    pass


# ---- slicer.parameterNodeWrapper


class Choice:
    def __init__(self, choices: Any) -> None:
        self.choices = list(choices)


class WithinRange:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high


def parameter_node_wrapper(cls: type) -> type:
    """Each annotation becomes a property that is kept in a vtkMRMLScriptedModuleNode."""
    hints = typing.get_type_hints(cls, include_extras=True)
    kinds = {name: _unannotated(hint) for name, hint in hints.items()}
    defaults = {name: getattr(cls, name, None) for name in hints}

    def __init__(self: Any, node: Any) -> None:
        self.parameterNode = node
        self._connected = []

    def getter(name: str) -> Any:
        def get(self: Any) -> Any:
            if _is_node(kinds[name]):
                return self.parameterNode.GetNodeReference(name)
            text = self.parameterNode.GetParameter(name)
            if not text:
                return defaults[name]
            return kinds[name][json.loads(text)] if issubclass(kinds[name], Enum) else kinds[name](json.loads(text))

        return get

    def setter(name: str) -> Any:
        def set_(self: Any, value: Any) -> None:
            _check(value, hints[name])
            if _is_node(kinds[name]):
                self.parameterNode.SetNodeReferenceID(name, value.GetID() if value else None)
            else:
                self.parameterNode.SetParameter(name, json.dumps(value.name if isinstance(value, Enum) else value))

        return set_

    def connect_gui(self: Any, ui: Any) -> int:
        for widget in vars(ui).values():
            name = widget.property("SlicerParameterName")
            if name:
                assert name in hints, f"no parameter {name}"
                self._connected.append(_Connection(self, name, widget, hints[name]))
        self._tag = self.parameterNode.AddObserver("ModifiedEvent", lambda caller, event: [c.show() for c in self._connected])
        return 1

    def disconnect_gui(self: Any, tag: int) -> None:
        for connection in self._connected:
            connection.is_on = False
        self._connected.clear()
        self.parameterNode.RemoveObserver(self._tag)

    for name in hints:
        setattr(cls, name, property(getter(name), setter(name)))
    members = {
        "__init__": __init__,
        "connectGui": connect_gui,
        "disconnectGui": disconnect_gui,
        "AddObserver": lambda self, event, slot, priority=0.0: self.parameterNode.AddObserver(event, slot, priority),
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
    }
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


class _Connection:
    """Between a parameter and a widget, both ways."""

    def __init__(self, wrapper: Any, name: str, widget: Widget, hint: Any) -> None:
        self.is_on = True
        self._wrapper, self._name, self._widget = wrapper, name, widget
        kind = _unannotated(hint)
        self._choices: list[Any] = []
        if widget._kind == "QComboBox":
            is_enum = issubclass(kind, Enum)
            self._choices = list(kind) if is_enum else next(a.choices for a in hint.__metadata__ if isinstance(a, Choice))
            widget.blockSignals(True)
            widget.clear()
            for choice in self._choices:
                widget.addItem(kind.label(choice) if is_enum else choice)
            widget.blockSignals(False)
        self.show()
        property_name = next(n for n in ("checked", "currentIndex", "value", "node") if n in widget._values or n == "node")
        widget.connect(f"{_SIGNALS[property_name]}()", lambda value: self._take(value))

    def show(self) -> None:
        value = getattr(self._wrapper, self._name)
        if self._widget._kind == "qMRMLNodeComboBox":
            self._widget.setCurrentNode(value)
        elif self._choices:
            self._widget.currentIndex = self._choices.index(value)
        elif self._widget._kind == "QCheckBox":
            self._widget.checked = value
        else:
            self._widget.value = value

    def _take(self, value: Any) -> None:
        if self.is_on:
            setattr(self._wrapper, self._name, self._choices[value] if self._choices else value)


def _unannotated(hint: Any) -> Any:
    return typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint


def _is_node(kind: Any) -> bool:
    return kind.__name__.startswith("vtkMRML")


def _check(value: Any, hint: Any) -> None:
    for rule in getattr(hint, "__metadata__", ()):
        if isinstance(rule, Choice) and value not in rule.choices:
            raise ValueError(f"{value!r} is none of {rule.choices}")
        if isinstance(rule, WithinRange) and not rule.low <= value <= rule.high:
            raise ValueError(f"{value!r} is not from {rule.low} to {rule.high}")
