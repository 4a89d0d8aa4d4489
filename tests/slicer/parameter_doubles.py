"""`slicer.parameterNodeWrapper`: parameters kept in a node of the scene and connected with widgets."""

from __future__ import annotations

import json
import typing
from enum import Enum
from typing import Any

from tests.slicer.qt_doubles import SIGNALS, Widget


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
        widget.connect(f"{SIGNALS[property_name]}()", lambda value: self._take(value))

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
