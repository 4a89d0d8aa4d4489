"""Who may import whom. Arrows point one way: napari_ultralight -> ultralightunet <- slicer_extension, and within each package downwards."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent

FLOORS = {
    "ultralightunet": (
        {"__main__"},
        {"cli", "worker"},
        {"worklist"},
        {"cohort", "new_task"},
        {"exports", "model_exports", "retraining"},
        {"corrections", "editing", "learning"},
        {"prompting"},
        {"inference", "metrics"},
        {"engines", "io"},
        {"models", "volume"},
        {"child", "disk", "networks"},
        {"architecture", "errors", "events", "home", "plain_locale", "stopwatch"},
    ),
    "napari_ultralight": (
        {"_widget"},
        {"improve", "worklist"},
        {"correct", "drafts", "files", "keep", "prompt", "segment"},
        {"layers"},
        {"parts"},
    ),
}
"""By package: its rooms, the top floor first. A room imports what lies on floors below it, never a neighbour; some are yet to come."""

BACKWARDS = {("ultralightunet/volume.py", "ultralightunet.io"), ("ultralightunet/models/facts.py", "ultralightunet.models.folder")}
"""The only imports against the arrows, made when they are needed: `Segmentation.save` writes a file, `Model.weights` reads one."""

QT_BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}
NAPARI = {"app_model", "magicgui", "napari", "napari_ultralight", "npe2", "qtpy", "superqt", "vispy"}
SLICER = {"UltraLightSegmenter", "UltraLightSegmenterLib", "ctk", "mrml", "qt", "slicer", "vtk", "vtkmodules"}
NOT_AT_RUN_TIME = {"benchmarks", "matplotlib", "nilearn", "pytest", "tests", "training"}
TENSORS = {"monai", "openvino", "safetensors", "torch"}

FORBIDDEN = {
    "ultralightunet": QT_BINDINGS | NAPARI | SLICER | NOT_AT_RUN_TIME,
    "napari_ultralight": QT_BINDINGS | SLICER | NOT_AT_RUN_TIME | TENSORS,
    "slicer_extension": QT_BINDINGS | NAPARI | (NOT_AT_RUN_TIME - {"pytest"}),
}
"""By folder: what no file in it may import, anywhere in the file."""

MAY_IMPORT_TORCH_AT_ONCE = (
    "ultralightunet/models/checkpoints.py",
    "ultralightunet/engines/torch_engine.py",
    "ultralightunet/learning/augmentation.py",
    "ultralightunet/learning/losses.py",
    "ultralightunet/model_exports/monai_bundle.py",
    "ultralightunet/model_exports/monai_parts.py",
    "ultralightunet/model_exports/onnx_file.py",
    "ultralightunet/networks/*.py",
    "ultralightunet/new_task/learning.py",
    "ultralightunet/new_task/looks.py",
    "ultralightunet/new_task/starts.py",
    "ultralightunet/new_task/timed.py",
    "ultralightunet/retraining/fitting.py",
    "ultralightunet/retraining/learning.py",
    "ultralightunet/retraining/sampling.py",
    "ultralightunet/retraining/watching.py",
    "ultralightunet/learning/side_by_side.py",
    "ultralightunet/learning/training.py",
)
"""The core's files that need torch for whatever they do; every other one imports it, if at all, inside a function."""


@dataclass(frozen=True)
class Import:
    """One import statement.

    Attributes:
        package: the top-level package, "" for a relative import.
        module: the dotted name.
        line: where it stands.
        at_once: whether importing the file runs it.
        names: what it takes from the module.
        level: how many dots a relative import begins with.
    """

    package: str
    module: str
    line: int
    at_once: bool
    names: tuple[str, ...] = ()
    level: int = 0


def imports_of(path: Path) -> Iterator[Import]:
    """Every import in a file that is ever run: those under `if TYPE_CHECKING` are not."""
    yield from _imports_in(ast.parse(path.read_text(encoding="utf-8")), at_once=True)


def _imports_in(node: ast.AST, *, at_once: bool) -> Iterator[Import]:
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for child in node.orelse:
            yield from _imports_in(child, at_once=at_once)
        return
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name.split(".")[0], alias.name, node.lineno, at_once)
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = tuple(alias.name for alias in node.names)
        yield Import("" if node.level else module.split(".")[0], module, node.lineno, at_once, names, node.level)
    elif isinstance(node, ast.Call) and (module := _imported_by_call(node)):
        yield Import(module.split(".")[0], module, node.lineno, at_once)
    inside = at_once and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports_in(child, at_once=inside)


def _imported_by_call(node: ast.Call) -> str:
    """The module of `import_module("module")` and its like, "" for any other call or a relative name."""
    if ast.unparse(node.func) not in ("__import__", "import_module", "importlib.import_module") or not node.args:
        return ""
    first = node.args[0]
    module = first.value if isinstance(first, ast.Constant) else ""
    return module if isinstance(module, str) and not module.startswith(".") else ""


def files_in(folder: str) -> list[Path]:
    """The Python files of a folder, less what an editable install links into it."""
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "sample_data" not in path.parts)


def name_of(path: Path) -> str:
    """The path inside the repository, with slashes."""
    return path.relative_to(ROOT).as_posix()


def room_of(module: str) -> str:
    """The room that holds a module, by its dotted name; "" for a package of ours itself."""
    return module.partition(".")[2].partition(".")[0]


def module_of(path: Path) -> str:
    """A file's dotted name, that of the folder for an `__init__`."""
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def arrows(package: str) -> Iterator[tuple[Path, Import, str]]:
    """Each import of one of a package's modules by another: the file, the import, the imported module's dotted name."""
    for path in files_in(package):
        above = path.relative_to(ROOT).parent.parts
        for found in imports_of(path):
            outer = above[: len(above) + 1 - found.level] if found.level else ()
            base = ".".join((*outer, *([found.module] if found.module else [])))
            if base.split(".")[0] != package or (base, found.names) == (package, ("__version__",)):
                continue
            # `from . import run` means the file run.py, not the package around it.
            inside = [f"{base}.{name}" for name in found.names]
            for module in dict.fromkeys(name if is_module(name) else base for name in inside):
                yield path, found, module


def is_module(dotted: str) -> bool:
    """Whether there is a file or a folder for this dotted name."""
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def imported_by_a_fresh_process(*modules: str) -> set[str]:
    """Top-level packages that are loaded after importing `modules` and nothing else."""
    code = f"import sys, {', '.join(modules)}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout.split())


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_folder_imports_nothing_that_belongs_to_another(folder: str) -> None:
    files = files_in(folder)
    assert files
    wrong = [
        f"{name_of(path)}:{found.line} imports {found.module}"
        for path in files
        for found in imports_of(path)
        if found.package in FORBIDDEN[folder]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", FLOORS)
def test_every_file_lies_in_a_room_of_a_floor(package: str) -> None:
    known = {"", *(room for floor in FLOORS[package] for room in floor)}
    assert [name_of(path) for path in files_in(package) if room_of(module_of(path)) not in known] == []


@pytest.mark.parametrize("package", FLOORS)
def test_a_room_imports_only_what_lies_on_a_floor_below(package: str) -> None:
    floor_of = {room: number for number, floor in enumerate(FLOORS[package]) for room in floor}
    # The package's own __init__ offers what is public and stands above all floors.
    floor_of[""] = -1
    wrong = []
    for path, found, module in arrows(package):
        here, there = room_of(module_of(path)), room_of(module)
        if here != there and floor_of[here] >= floor_of[there] and (name_of(path), module) not in BACKWARDS:
            wrong.append(f"{name_of(path)}:{found.line} imports {module}")
    assert wrong == []


@pytest.mark.parametrize("package", FLOORS)
def test_no_files_import_each_other_in_a_circle_not_even_late(package: str) -> None:
    needs: dict[str, set[str]] = {}
    for path, _, module in arrows(package):
        if (name_of(path), module) not in BACKWARDS:
            needs.setdefault(module_of(path), set()).add(module)
    circle: list[str] = []
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_the_imports_against_the_arrows_are_late_and_still_needed() -> None:
    found = {(name_of(path), module, found.at_once) for package in FLOORS for path, found, module in arrows(package)}
    assert {(path, module, False) for path, module in BACKWARDS} <= found
    assert not {(path, module, True) for path, module in BACKWARDS} & found


def test_only_files_that_work_with_torch_import_it_at_once() -> None:
    wrong = [
        f"{name_of(path)}:{found.line} imports {found.module}"
        for path in files_in("ultralightunet")
        if not any(fnmatch(name_of(path), pattern) for pattern in MAY_IMPORT_TORCH_AT_ONCE)
        for found in imports_of(path)
        if found.at_once and found.package in {"torch", "monai"}
    ]
    assert wrong == []


def test_the_slicer_extension_never_loads_the_core_or_tensors_into_slicers_own_process() -> None:
    # It is spoken to in a process of its own; installing its packages needs no restart then, and nothing of it can freeze Slicer.
    wrong = [
        f"{name_of(path)}:{found.line} imports {found.module}"
        for path in files_in("slicer_extension")
        for found in imports_of(path)
        if found.package in TENSORS | {"ultralightunet"}
    ]
    assert wrong == []


def test_the_slicer_extension_runs_no_pip_when_it_is_imported() -> None:
    pip = {"pip_install", "pip_ensure", "installTorch"}
    wrong = [
        f"{name_of(path)}:{call.lineno} calls {ast.unparse(call.func)}"
        for path in files_in("slicer_extension")
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef)
        for call in ast.walk(statement)
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in pip
    ]
    assert wrong == []


def test_only_the_panel_of_the_slicer_extension_knows_qt() -> None:
    found = {path.name for path in files_in("slicer_extension") for found in imports_of(path) if found.package in {"ctk", "qt"}}
    assert found == {"panel.py"}


@pytest.mark.parametrize("package", ["ultralightunet", "napari_ultralight"])
def test_every_package_that_is_imported_is_declared_in_setup_py(package: str) -> None:
    declared = {canonicalize_name(Requirement(text).name) for text in requires("napari-ultralight") or []}
    distributions = packages_distributions()
    wrong = [
        f"{name_of(path)}:{found.line} imports {found.module}"
        for path in files_in(package)
        for found in imports_of(path)
        if found.package not in sys.stdlib_module_names | {"", "ultralightunet", "napari_ultralight"}
        and not declared & {canonicalize_name(name) for name in distributions.get(found.package, ())}
    ]
    assert wrong == []


def test_what_is_imported_before_the_first_segment_holds_no_torch() -> None:
    loaded = imported_by_a_fresh_process("ultralightunet", "ultralightunet.cli", "ultralightunet.io", "ultralightunet.inference.session")
    assert "ultralightunet" in loaded
    assert not loaded & {"torch", "monai", "openvino_telemetry", *QT_BINDINGS, *NAPARI}


def test_opening_the_dock_loads_neither_torch_nor_openvino() -> None:
    loaded = imported_by_a_fresh_process(*map(module_of, files_in("napari_ultralight")))
    assert "napari_ultralight" in loaded
    assert not loaded & {"torch", "monai", "openvino", "openvino_telemetry"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import torch.nn", [("torch", True)]),
        ("def f():\n    from torch import nn", [("torch", False)]),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import monai", [("monai", True)]),
        ("class A:\n    import torch", [("torch", True)]),
        ("try:\n    import qtpy\nexcept ImportError:\n    pass", [("qtpy", True)]),
        ("importlib.import_module('torch')", [("torch", True)]),
        ("from ..volume import Volume", [("", True)]),
    ],
)
def test_imports_are_found_wherever_they_stand(tmp_path: Path, text: str, expected: list[tuple[str, bool]]) -> None:
    path = tmp_path / "example.py"
    path.write_text(text, encoding="utf-8")
    assert [(found.package, found.at_once) for found in imports_of(path)] == expected
