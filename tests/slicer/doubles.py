"""What the application Slicer adds to slicer-core, as far as the module uses it: small, and strict where PythonQt is.

`install()` makes `import slicer` and `import qt` work as in the application. MRML, its logics and `slicer.util` are the real ones.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util

from tests.slicer.parameter_doubles import Choice, WithinRange, parameter_node_wrapper
from tests.slicer.qt_doubles import FileDialog, SegmentEditorWidget, Settings, Timer, load_ui

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
        ("Sequences", "vtkSlicerSequencesLogic"),
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
        userSettings=Settings,
    )
    slicer.qMRMLSegmentEditorWidget = SegmentEditorWidget
    slicer.util.loadUI = load_ui
    slicer.util.childWidgetVariables = lambda widget: types.SimpleNamespace(**widget.children)
    slicer.util.mainWindow = lambda: None
    slicer.util.setSliceViewerLayers = lambda **layers: None
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
